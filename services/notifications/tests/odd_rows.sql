-- Rows of the monolith's notifications that a careless projection would change.
INSERT INTO users (id, email, name, password_hash)
SELECT id, 'person-' || id, 'person', '' FROM generate_series(1, 3) AS id;
INSERT INTO workspaces (id, name) VALUES (1, 'one');
INSERT INTO projects (id, workspace_id, name) VALUES (1, 1, 'one');
INSERT INTO tasks (id, project_id, title) VALUES (3, 1, 'three');
INSERT INTO comments (id, task_id, author_id, body) VALUES (4, 3, 1, '@2');

-- Times in the hours that summer time skips and repeats; all fractions of a second; no time at all.
INSERT INTO notifications
    (id, user_id, kind, workspace_id, actor_id, task_id, comment_id, read_at, created_at)
VALUES
    (7, 1, 'welcome', 1, NULL, NULL, NULL, NULL, '2026-03-29 02:30:00.123456'),
    (8, 2, 'mention', 1, 1, 3, 4, '2026-10-25 02:30:00', '1999-12-31 23:59:59.999999'),
    (9, 2, 'assignment', 1, 1, 3, NULL, 'infinity', '-infinity');

INSERT INTO notification_preferences (user_id, settings, version) VALUES
    (1, '{}', 3),
    (2, '{"mention": {"in_app": false, "email": true}}', 1),
    (3, '{"welcome": {"in_app": true, "email": true}, "mention": {"email": false, "in_app": true},
          "assignment": {"in_app": false, "email": false}}', 9);

INSERT INTO email_templates (name, subject, body) VALUES
    ('Ünïcode ☃', E'it''s "q", (x)', E'tab\tline\nback\\slash \\N {name}'), ('', '', '');

INSERT INTO emails
    (id, user_id, template, cause, task_id, state, attempts, next_attempt_at, last_error, version,
     created_at, sent_at)
VALUES
    (1, 1, 'welcome', '', NULL, 'queued', 0, '2026-03-29 02:30:00', '', 1, '2026-03-29 02:30:00.1', NULL),
    (2, 2, 'mention', 'comment-4', 3, 'failed', 5, '2026-03-29 02:30:00', '450 später 🙈', 11,
     '2026-03-29 02:30:00.000001', NULL),
    (3, 2, 'Ünïcode ☃', 'x', 3, 'sent', 1, 'infinity', ' ', 3, '2026-01-01', '2026-03-29 02:31:00.1'),
    (4, 3, '', E'\n', 3, 'sending', 1, '2026-03-29 02:30:00', E'two\nlines', 3, '2026-01-01', NULL);

INSERT INTO notifications_idempotency (scope, key, request_hash, answer) VALUES
    ('user-1', 'k', '\x00ff', '\x'), ('user-1', 'K ☃', '\xaa', '\x7b227d');
INSERT INTO notifications_inbox (event_id) VALUES ('0190aaaa-0000-7000-8000-000000000001');
INSERT INTO notifications_parked (topic, key, event_id, reason) VALUES
    ('trellis.core.v1', 'task-3', '0190aaaa-0000-7000-8000-000000000002', E'failed\nto apply ☃');
