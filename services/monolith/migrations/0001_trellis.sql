-- Trellis as its first team built it: one database, modules that join each other's tables.
CREATE TABLE users (
    id            bigserial PRIMARY KEY,
    email         text NOT NULL UNIQUE,
    name          text NOT NULL,
    password_hash text NOT NULL,
    version       bigint NOT NULL DEFAULT 1,
    created_at    timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);

CREATE TABLE workspaces (
    id         bigserial PRIMARY KEY,
    name       text NOT NULL,
    created_at timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);

CREATE TABLE members (
    workspace_id bigint NOT NULL REFERENCES workspaces,
    user_id      bigint NOT NULL REFERENCES users,
    role         text NOT NULL CHECK (role IN ('owner', 'member')),
    PRIMARY KEY (workspace_id, user_id)
);

CREATE TABLE auth_idempotency (
    scope        text NOT NULL,
    key          text NOT NULL,
    request_hash bytea NOT NULL,
    answer       bytea NOT NULL,
    created_at   timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    PRIMARY KEY (scope, key)
);

CREATE TABLE projects (
    id           bigserial PRIMARY KEY,
    workspace_id bigint NOT NULL REFERENCES workspaces,
    name         text NOT NULL,
    created_at   timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);

CREATE TABLE tasks (
    id          bigserial PRIMARY KEY,
    project_id  bigint NOT NULL REFERENCES projects,
    title       text NOT NULL,
    state       text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'doing', 'done')),
    assignee_id bigint REFERENCES users,
    version     bigint NOT NULL DEFAULT 1,
    created_at  timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);
CREATE INDEX tasks_by_project ON tasks (project_id, id);

CREATE TABLE comments (
    id         bigserial PRIMARY KEY,
    task_id    bigint NOT NULL REFERENCES tasks,
    author_id  bigint NOT NULL REFERENCES users,
    body       text NOT NULL,
    created_at timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);
CREATE INDEX comments_by_task ON comments (task_id, id);

CREATE TABLE core_idempotency (LIKE auth_idempotency INCLUDING ALL);

-- The notifications capability: every table below moves.
CREATE TABLE notifications (
    id           bigserial PRIMARY KEY,
    user_id      bigint NOT NULL REFERENCES users,
    kind         text NOT NULL CHECK (kind IN ('welcome', 'assignment', 'mention')),
    workspace_id bigint NOT NULL REFERENCES workspaces,
    actor_id     bigint REFERENCES users,
    task_id      bigint REFERENCES tasks,
    comment_id   bigint REFERENCES comments,
    read_at      timestamp,
    created_at   timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);
CREATE INDEX notifications_by_user ON notifications (user_id, id);

-- One document a person: {"mention": {"in_app": true, "email": false}, …}; a kind that is absent
-- stands at its default, which is true for both.
CREATE TABLE notification_preferences (
    user_id  bigint PRIMARY KEY REFERENCES users,
    settings jsonb NOT NULL,
    version  bigint NOT NULL DEFAULT 1
);

-- Subjects and bodies carry {name} and {task}.
CREATE TABLE email_templates (
    name    text PRIMARY KEY,
    subject text NOT NULL,
    body    text NOT NULL
);
INSERT INTO email_templates (name, subject, body) VALUES
    ('welcome', 'Welcome to Trellis', E'Hello {name},\n\nyour workspace is ready.\n'),
    ('assignment', 'A task is yours now', E'Hello {name},\n\ntask {task} was assigned to you.\n'),
    ('mention', 'You were mentioned', E'Hello {name},\n\nyou were mentioned on task {task}.\n');

-- The mail, its queue and its log in one row. A mail's Message-ID is derived from its id.
CREATE TABLE emails (
    id              bigserial PRIMARY KEY,
    user_id         bigint NOT NULL REFERENCES users,
    template        text NOT NULL REFERENCES email_templates,
    -- What sets this mail apart from others of the template, as "comment-12"; once a person.
    cause           text NOT NULL,
    task_id         bigint,
    state           text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'sending', 'sent', 'failed')),
    attempts        int NOT NULL DEFAULT 0,
    next_attempt_at timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    last_error      text NOT NULL DEFAULT '',
    version         bigint NOT NULL DEFAULT 1,
    -- Of the request or event that caused it.
    traceparent     text,
    created_at      timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    sent_at         timestamp,
    UNIQUE (user_id, template, cause)
);
CREATE INDEX emails_due ON emails (next_attempt_at) WHERE state IN ('queued', 'sending');

CREATE TABLE notifications_idempotency (LIKE auth_idempotency INCLUDING ALL);

-- Events that were applied; outlives the topics' retention.
CREATE TABLE notifications_inbox (
    event_id   uuid PRIMARY KEY,
    applied_at timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);

-- Keys whose messages wait behind one that could not be applied.
CREATE TABLE notifications_parked (
    topic     text NOT NULL,
    key       text NOT NULL,
    event_id  uuid NOT NULL,
    reason    text NOT NULL,
    parked_at timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    PRIMARY KEY (topic, key)
);

-- How Trellis is run, changed while it runs.
CREATE TABLE settings (
    only_row  boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    mail_mode text NOT NULL DEFAULT 'inline' CHECK (mail_mode IN ('inline', 'queued'))
);
INSERT INTO settings DEFAULT VALUES;
