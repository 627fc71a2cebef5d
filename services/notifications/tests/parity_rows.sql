-- What the person with id 1, who has just signed up, is told; nothing is due, so both sides stand still.
DELETE FROM emails;
DELETE FROM notifications;
INSERT INTO users (id, email, name, password_hash) VALUES (2, 'two', 'two', '');
INSERT INTO projects (id, workspace_id, name) VALUES (1, 1, 'one');
INSERT INTO tasks (id, project_id, title) VALUES (3, 1, 'three');
INSERT INTO comments (id, task_id, author_id, body) VALUES (4, 3, 2, '@1');
INSERT INTO notifications
    (id, user_id, kind, workspace_id, actor_id, task_id, comment_id, read_at, created_at)
VALUES
    (1, 1, 'welcome', 1, NULL, NULL, NULL, '2026-01-01', '2026-01-01 00:00:00'),
    (2, 1, 'mention', 1, 2, 3, 4, NULL, '2026-01-02 00:00:00.1'),
    (3, 1, 'assignment', 1, 2, 3, NULL, NULL, '2026-01-03 00:00:00.123456'),
    (4, 1, 'mention', 1, 2, 3, 4, NULL, '1999-12-31 23:59:59.999999'),
    (5, 1, 'mention', 1, 2, 3, 4, NULL, '2026-01-05 00:00:00.123'),
    (999, 2, 'mention', 1, 1, 3, 4, NULL, '2026-01-05');
INSERT INTO email_templates (name, subject, body) VALUES ('digest', 's', 'b');
INSERT INTO emails
    (id, user_id, template, cause, task_id, state, attempts, last_error, version, created_at, sent_at)
VALUES
    (1, 1, 'welcome', 'sign-up', NULL, 'sent', 1, '', 3, '2026-01-01', '2026-01-01 00:00:01.5'),
    (2, 1, 'mention', 'comment-4', 3, 'failed', 5, 'the mail server answered: nö', 11, '2026-01-02', NULL),
    (7, 1, 'digest', 'x', NULL, 'sent', 2, '', 5, '2026-01-02 00:00:00.000001', '2026-01-03');
