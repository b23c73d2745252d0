"""Models, the history of their stages, and the evidence about them: written once, never changed.

An intent names the models whose scores its wish rests on.
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"

TABLES = """
CREATE TABLE models (
    model_id text PRIMARY KEY,
    kind text NOT NULL,
    artifact_sha256 text NOT NULL CHECK (artifact_sha256 ~ '^[0-9a-f]{64}$'),
    card jsonb NOT NULL,
    data_from date NOT NULL,
    data_to date NOT NULL CHECK (data_to >= data_from),
    data_hash text NOT NULL,
    features_hash text NOT NULL,
    code_version text NOT NULL,
    metrics jsonb NOT NULL,
    parent text REFERENCES models,
    training_run text NOT NULL,
    dataset text NOT NULL,
    registered_by text NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE model_stages (
    seq bigint PRIMARY KEY,
    model_id text NOT NULL REFERENCES models,
    from_stage text CHECK (from_stage IN ('candidate', 'shadow', 'canary', 'live', 'retired')),
    to_stage text NOT NULL CHECK (to_stage IN ('candidate', 'shadow', 'canary', 'live', 'retired')),
    move text NOT NULL,
    made_by text NOT NULL,
    reason text NOT NULL,
    evidence jsonb NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX model_stages_of_model ON model_stages (model_id, seq);
CREATE TABLE model_evidence (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model_id text NOT NULL REFERENCES models,
    kind text NOT NULL CHECK (kind IN ('leak_check', 'session')),
    subject text NOT NULL,
    body jsonb NOT NULL,
    made_by text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (model_id, kind, subject)
);
"""

# The table lock comes before the look, so of two promotions at once the second sees the first and is refused.
FOLLOWS = """
CREATE FUNCTION follow_model_stages() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE present text; holder text;
BEGIN
    LOCK TABLE model_stages IN EXCLUSIVE MODE;
    SELECT to_stage INTO present FROM model_stages WHERE model_id = NEW.model_id ORDER BY seq DESC LIMIT 1;
    IF present IS DISTINCT FROM NEW.from_stage THEN
        RAISE EXCEPTION '% is %, not %', NEW.model_id, coalesce(present, 'new'), coalesce(NEW.from_stage, 'new')
            USING ERRCODE = 'serialization_failure';
    END IF;
    IF NEW.to_stage IN ('live', 'canary') THEN
        SELECT s.model_id INTO holder FROM (
            SELECT DISTINCT ON (model_id) model_id, to_stage FROM model_stages ORDER BY model_id, seq DESC
        ) s WHERE s.to_stage = NEW.to_stage AND s.model_id <> NEW.model_id LIMIT 1;
        IF holder IS NOT NULL THEN
            RAISE EXCEPTION '% is % already: there is one at a time', holder, NEW.to_stage
                USING ERRCODE = 'exclusion_violation';
        END IF;
    END IF;
    SELECT coalesce(max(seq), 0) + 1 INTO NEW.seq FROM model_stages;
    RETURN NEW;
END $$;
CREATE TRIGGER model_stages_follow BEFORE INSERT ON model_stages
    FOR EACH ROW EXECUTE FUNCTION follow_model_stages();
"""

# Once a model has been live one is: checked when the transaction ends, for a succession is two lines.
ONE_LIVE = """
CREATE FUNCTION keep_one_model_live() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE holders bigint;
BEGIN
    SELECT count(*) INTO holders FROM (
        SELECT DISTINCT ON (model_id) model_id, to_stage FROM model_stages ORDER BY model_id, seq DESC
    ) s WHERE s.to_stage = 'live';
    IF holders <> 1 THEN
        RAISE EXCEPTION '% models would be live; exactly one is', holders
            USING ERRCODE = 'exclusion_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER model_stages_one_live AFTER INSERT ON model_stages
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.to_stage = 'live' OR NEW.from_stage = 'live')
    EXECUTE FUNCTION keep_one_model_live();
"""


INTENTS = "ALTER TABLE intents ADD COLUMN models text[] NOT NULL DEFAULT '{}'"


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(INTENTS)
    op.execute(FOLLOWS)
    op.execute(ONE_LIVE)
    for table in ("models", "model_stages", "model_evidence"):
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )


def downgrade() -> None:
    op.execute("ALTER TABLE intents DROP COLUMN models")
    op.execute("DROP TABLE model_evidence, model_stages, models")
    op.execute("DROP FUNCTION follow_model_stages, keep_one_model_live")
