-- Notifications on a schema of its own: mails apart from their deliveries, typed preferences, times with
-- their zone. Ids of persons, workspaces and tasks are other capabilities' and carry no foreign key.
CREATE TYPE kind AS ENUM ('welcome', 'assignment', 'mention');
CREATE TYPE delivery_state AS ENUM ('queued', 'sending', 'sent', 'failed');

CREATE TABLE inbox_items (
    id           bigserial PRIMARY KEY,
    user_id      bigint NOT NULL,
    kind         kind NOT NULL,
    workspace_id bigint NOT NULL,
    actor_id     bigint,
    task_id      bigint,
    comment_id   bigint,
    read_at      timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX inbox_items_by_user ON inbox_items (user_id, id);
CREATE INDEX inbox_items_unread ON inbox_items (user_id, id) WHERE read_at IS NULL;

-- One row a person who ever changed a preference.
CREATE TABLE preference_sets (
    user_id bigint PRIMARY KEY,
    version bigint NOT NULL
);

-- A kind that is absent stands at its default, which is true for both.
CREATE TABLE preferences (
    user_id bigint NOT NULL REFERENCES preference_sets,
    kind    kind NOT NULL,
    in_app  boolean NOT NULL,
    email   boolean NOT NULL,
    PRIMARY KEY (user_id, kind)
);

-- Bodies carry {name} and {task}. They come with the move.
CREATE TABLE templates (
    name    text PRIMARY KEY,
    subject text NOT NULL,
    body    text NOT NULL
);

-- What is to be sent. A mail's Message-ID is derived from its id.
CREATE TABLE mails (
    id         bigserial PRIMARY KEY,
    user_id    bigint NOT NULL,
    template   text NOT NULL REFERENCES templates,
    cause      text NOT NULL,
    task_id    bigint,
    -- Of the event that caused it.
    traceparent text,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (user_id, template, cause)
);
CREATE INDEX mails_by_user ON mails (user_id, id);

-- What became of it.
CREATE TABLE deliveries (
    mail_id         bigint PRIMARY KEY REFERENCES mails,
    state           delivery_state NOT NULL DEFAULT 'queued',
    attempts        int NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    last_error      text CHECK (last_error <> ''),
    version         bigint NOT NULL DEFAULT 1,
    sent_at         timestamptz
);
CREATE INDEX deliveries_due ON deliveries (next_attempt_at) WHERE state IN ('queued', 'sending');

CREATE TABLE idempotency (
    scope        text NOT NULL,
    key          text NOT NULL,
    request_hash bytea NOT NULL,
    answer       bytea NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scope, key)
);

-- Events that were applied; outlives the topics' retention.
CREATE TABLE inbox_events (
    event_id   uuid PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- Keys whose messages wait behind one that could not be applied.
CREATE TABLE parked_keys (
    topic     text NOT NULL,
    key       text NOT NULL,
    event_id  uuid NOT NULL,
    reason    text NOT NULL,
    parked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, key)
);
