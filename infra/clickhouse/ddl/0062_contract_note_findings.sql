-- One row per thing that a contract note and our books do not say the same.
CREATE TABLE contract_note_findings
(
    run_id            LowCardinality(String),
    session_date      Date,
    note_sha256       String,
    number            UInt32 COMMENT 'place in the comparison',
    kind              LowCardinality(String) COMMENT 'rounding, differs, not on the note, not in our books',
    line              UInt32 COMMENT 'line of the file, 0 where it has none',
    what              String,
    note              String,
    ours              String,
    difference_paise  Decimal(18, 2) COMMENT 'note less ours, to the hundredth of a paisa',
    why               String,
    imported_at       DateTime64(3, 'UTC') DEFAULT now64(3),
    imported_at_ist   DateTime64(3, 'Asia/Kolkata') ALIAS imported_at
)
ENGINE = ReplacingMergeTree(imported_at)
ORDER BY (run_id, session_date, note_sha256, number)
