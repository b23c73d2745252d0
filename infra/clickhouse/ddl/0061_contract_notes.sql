-- One row per contract note compared with our books; the same note again takes the place of itself.
CREATE TABLE contract_notes
(
    run_id            LowCardinality(String),
    session_date      Date,
    note_sha256       String COMMENT 'what the note says, by its hash',
    reconciled        Bool COMMENT 'nothing but roundings',
    trades_on_note    UInt32,
    trades_in_books   UInt32,
    trades_agreed     UInt32 COMMENT 'the same in every cell',
    charge_lines      UInt16 COMMENT 'lines of charges on the note',
    findings          UInt32,
    imported_at       DateTime64(3, 'UTC') DEFAULT now64(3),
    imported_at_ist   DateTime64(3, 'Asia/Kolkata') ALIAS imported_at
)
ENGINE = ReplacingMergeTree(imported_at)
ORDER BY (run_id, session_date, note_sha256)
