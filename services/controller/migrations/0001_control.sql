-- The control database: who owns what, and how it came about.

-- Permission to take moves in hand, on this database's clock. It lasts 1.5 s and is renewed every 0.5 s.
CREATE TABLE lease (
    name       text PRIMARY KEY,
    holder     text NOT NULL,
    address    text NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE TABLE move (
    capability    text PRIMARY KEY,
    owner         text NOT NULL DEFAULT 'monolith' CHECK (owner IN ('monolith', 'service')),
    -- Goes up by one each time the owner changes.
    epoch         bigint NOT NULL DEFAULT 1,
    -- The fencing token: raised by every controller that takes the move in hand.
    attempt       bigint NOT NULL DEFAULT 0,
    -- The step that the attempt is at, as 'C3'; null when none is under way.
    step          text,
    -- The owner that the attempt under way is to make.
    switching_to  text CHECK (switching_to IN ('monolith', 'service')),
    prepared      boolean NOT NULL DEFAULT false,
    stream        text NOT NULL DEFAULT 'none'
                  CHECK (stream IN ('none', 'copying', 'following', 'stopped', 'needs_rebase', 'error', 'irreversible')),
    direction     text CHECK (direction IN ('forward', 'reverse')),
    stream_error  text NOT NULL DEFAULT '',
    -- Switch pending: pickers run on a short lease until then. Lives 3 s.
    pending       uuid,
    pending_until timestamptz,
    diff_at       timestamptz,
    diff_clean    boolean,
    diff_rows     bigint,
    diff_differing bigint,
    switched_at   timestamptz,
    retired       boolean NOT NULL DEFAULT false,
    -- The move's folder and its entry in ficus.toml, as they were at create.
    definition    jsonb NOT NULL,
    -- From create to complete or cancel: reads need a fresh word from here.
    unfinished    boolean NOT NULL DEFAULT true,
    -- When this move was written down: a picker that was heard last before knows nothing of it.
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((step IS NULL) = (switching_to IS NULL)),
    CHECK ((pending IS NULL) = (pending_until IS NULL)),
    CHECK ((stream = 'none') = (direction IS NULL))
);

-- Append-only.
CREATE TABLE journal (
    id         bigserial PRIMARY KEY,
    capability text NOT NULL,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempt    bigint NOT NULL,
    epoch      bigint NOT NULL,
    step       text NOT NULL,
    text       text NOT NULL,
    by         text NOT NULL
);
CREATE INDEX journal_by_capability ON journal (capability, id);
CREATE FUNCTION refuse_journal_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the journal is append-only';
END $$;
CREATE TRIGGER journal_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON journal
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_journal_change();

-- Every process that picks an owner.
CREATE TABLE picker (
    picker     text NOT NULL,
    capability text NOT NULL,
    role       text NOT NULL CHECK (role IN ('gateway', 'worker', 'client')),
    -- What it acts on already, not what it has just read; 0 before it has read anything.
    epoch      bigint NOT NULL,
    pending    uuid,
    -- Nothing that began before it acted on pending is under way any more.
    quiet      boolean NOT NULL DEFAULT false,
    heard_at   timestamptz NOT NULL,
    PRIMARY KEY (picker, capability)
);

-- Tells pickers of pending and of a new epoch without waiting for their polls. Epoch and owner are in it, so that a
-- picker acts on a new owner before it has read the row.
CREATE FUNCTION notify_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('ficus_move', format('%s %s %s', NEW.capability, NEW.epoch, NEW.owner));
    RETURN NULL;
END $$;
CREATE TRIGGER move_changed AFTER INSERT OR UPDATE OF owner, epoch, pending, unfinished, retired ON move
    FOR EACH ROW EXECUTE FUNCTION notify_move();
