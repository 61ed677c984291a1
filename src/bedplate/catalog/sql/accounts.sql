-- Accounts, their grants, tokens and logins.

-- name: account_add!
-- A new account; changes nothing where the name is taken, in any case of letters.
INSERT INTO accounts (name, password, is_admin, totp, totp_last, subject, active, created_at, changed_at)
SELECT :name, :password, :is_admin, '', 0, :subject, 1, :at, :at
WHERE NOT EXISTS (SELECT 1 FROM accounts WHERE lower(name) = lower(:name));

-- name: account_get^
-- One account.
SELECT name, password, is_admin, totp, totp_last, subject, active, created_at, changed_at FROM accounts WHERE name = :name;

-- name: account_by_subject^
-- The account of somebody whom a provider knows.
SELECT name, password, is_admin, totp, totp_last, subject, active, created_at, changed_at FROM accounts WHERE subject = :subject;

-- name: accounts_list
-- Every account by name.
SELECT name, password, is_admin, totp, totp_last, subject, active, created_at, changed_at FROM accounts ORDER BY name;

-- name: accounts_count$
-- How many accounts there are.
SELECT count(*) FROM accounts;

-- name: admins_other$
-- How many other active admins there are.
SELECT count(*) FROM accounts WHERE is_admin = 1 AND active = 1 AND name <> :name;

-- name: account_password!
-- A new password's hash.
UPDATE accounts SET password = :password, changed_at = :at WHERE name = :name;

-- name: account_admin!
-- An account is an admin, or is none any more.
UPDATE accounts SET is_admin = :is_admin, changed_at = :at WHERE name = :name;

-- name: account_active!
-- An account may come in, or may not.
UPDATE accounts SET active = :active, changed_at = :at WHERE name = :name;

-- name: account_subject!
-- Whom a provider calls by this subject.
UPDATE accounts SET subject = :subject, changed_at = :at WHERE name = :name;

-- name: account_totp!
-- A second factor, sealed; empty: none.
UPDATE accounts SET totp = :totp, totp_last = :last, changed_at = :at WHERE name = :name;

-- name: account_totp_used!
-- A code was used: changes nothing where it, or a later one, was used before.
UPDATE accounts SET totp_last = :counter WHERE name = :name AND totp <> '' AND totp_last < :counter;

-- name: account_drop!
-- An account goes; its tokens, logins and grants went before.
DELETE FROM accounts WHERE name = :name;

-- name: account_drop_tokens!
-- An account's tokens go with it.
DELETE FROM tokens WHERE account = :name;

-- name: account_drop_logins!
-- An account's logins go with it.
DELETE FROM logins WHERE account = :name;

-- name: account_drop_grants!
-- An account's grants go with it.
DELETE FROM grants WHERE account = :name;

-- name: grant_put!
-- An account has a role on a resource.
INSERT INTO grants (account, resource, role, granted_by, granted_at) VALUES (:account, :resource, :role, :granted_by, :granted_at)
ON CONFLICT (account, resource) DO UPDATE SET role = excluded.role, granted_by = excluded.granted_by, granted_at = excluded.granted_at;

-- name: grant_drop!
-- An account has no role of its own on a resource any more.
DELETE FROM grants WHERE account = :account AND resource = :resource;

-- name: grants_of
-- Every grant of an account.
SELECT account, resource, role, granted_by, granted_at FROM grants WHERE account = :account ORDER BY resource;

-- name: grants_there
-- The grants of an account that count on one resource.
SELECT account, resource, role, granted_by, granted_at FROM grants WHERE account = :account AND resource IN (:resource, '*');

-- name: grants_on
-- Every grant on a resource.
SELECT account, resource, role, granted_by, granted_at FROM grants WHERE resource = :resource ORDER BY account;

-- name: grants_move!
-- A resource has another name now.
UPDATE grants SET resource = :new WHERE resource = :old;

-- name: grants_end!
-- A resource is gone for good.
DELETE FROM grants WHERE resource = :resource;

-- name: token_add!
-- A new token: its digest, what it is limited to, until when.
INSERT INTO tokens (id, account, name, digest, role, project, created_at, expires_at, revoked_at)
VALUES (:id, :account, :name, :digest, :role, :resource, :created_at, :expires_at, NULL);

-- name: token_known^
-- A token with its account, to recognise who presents it.
SELECT t.digest, t.role, t.project, t.expires_at, t.revoked_at, a.name, a.is_admin, a.active
FROM tokens AS t JOIN accounts AS a ON a.name = t.account WHERE t.id = :id;

-- name: tokens_of
-- Every token of an account, newest first.
SELECT id, account, name, role, project, created_at, expires_at, revoked_at FROM tokens WHERE account = :account ORDER BY created_at DESC, id;

-- name: tokens_live$
-- How many tokens of an account are not revoked.
SELECT count(*) FROM tokens WHERE account = :account AND revoked_at IS NULL;

-- name: token_revoke!
-- A token counts no more.
UPDATE tokens SET revoked_at = :at WHERE id = :id AND account = :account AND revoked_at IS NULL;

-- name: tokens_revoke!
-- No token of an account counts any more.
UPDATE tokens SET revoked_at = :at WHERE account = :account AND revoked_at IS NULL;

-- name: login_add!
-- Somebody logged in: the digest of the session's key.
INSERT INTO logins (digest, account, csrf, created_at, seen_at, ended_at) VALUES (:digest, :account, :csrf, :at, :at, NULL);

-- name: login_known^
-- A session with its account, to recognise who presents its key.
SELECT l.digest, l.csrf, l.created_at, l.seen_at, l.ended_at, a.name, a.is_admin, a.active
FROM logins AS l JOIN accounts AS a ON a.name = l.account WHERE l.digest = :digest;

-- name: login_seen!
-- A session was used.
UPDATE logins SET seen_at = :at WHERE digest = :digest AND ended_at IS NULL;

-- name: login_end!
-- A session counts no more.
UPDATE logins SET ended_at = :at WHERE digest = :digest AND ended_at IS NULL;

-- name: logins_end!
-- No session of an account counts any more, save one.
UPDATE logins SET ended_at = :at WHERE account = :account AND digest <> :spared AND ended_at IS NULL;

-- name: logins_forget!
-- Sessions that ended, or were made, long ago.
DELETE FROM logins WHERE created_at < :before;
