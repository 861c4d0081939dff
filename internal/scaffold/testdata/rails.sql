-- As Rails makes tables: bigint keys, timestamps without time zone, enums as integers, has_and_belongs_to_many.
CREATE TABLE schema_migrations (version varchar PRIMARY KEY);
CREATE TABLE ar_internal_metadata (key varchar PRIMARY KEY, value varchar, created_at timestamp(6) NOT NULL, updated_at timestamp(6) NOT NULL);
CREATE TABLE solid_queue_jobs (id bigserial PRIMARY KEY, queue_name varchar);
CREATE TABLE active_storage_blobs (id bigserial PRIMARY KEY, key varchar NOT NULL, filename varchar NOT NULL);

CREATE TABLE accounts (id bigserial PRIMARY KEY, name varchar NOT NULL, plan varchar, created_at timestamp(6) NOT NULL, updated_at timestamp(6) NOT NULL);
CREATE TABLE users (
    id bigserial PRIMARY KEY, account_id bigint NOT NULL REFERENCES accounts, email varchar NOT NULL, encrypted_password varchar NOT NULL,
    reset_password_token varchar, sign_in_count int NOT NULL DEFAULT 0, current_sign_in_at timestamp(6), last_sign_in_at timestamp(6),
    role int NOT NULL DEFAULT 0, discarded_at timestamp(6), created_at timestamp(6) NOT NULL, updated_at timestamp(6) NOT NULL);
ALTER TABLE users REPLICA IDENTITY FULL;
CREATE TABLE projects (
    id bigserial PRIMARY KEY, account_id bigint NOT NULL REFERENCES accounts, owner_id bigint NOT NULL REFERENCES users, title varchar NOT NULL,
    lock_version int NOT NULL DEFAULT 0, tasks_count int NOT NULL DEFAULT 0, archived_at timestamp(6), deleted_at timestamp(6),
    created_at timestamp(6) NOT NULL, updated_at timestamp(6) NOT NULL);
COMMENT ON TABLE projects IS 'What a team works on.';
COMMENT ON COLUMN projects.owner_id IS 'Who answers for it';
CREATE TABLE tasks (
    id bigserial PRIMARY KEY, project_id bigint NOT NULL REFERENCES projects, assignee_id bigint REFERENCES users, title varchar NOT NULL,
    status int NOT NULL DEFAULT 0, due_on date, archived_at timestamp(6), created_at timestamp(6) NOT NULL, updated_at timestamp(6) NOT NULL);
CREATE TABLE labels (id bigserial PRIMARY KEY, account_id bigint NOT NULL REFERENCES accounts, name varchar NOT NULL);
CREATE TABLE labels_tasks (label_id bigint NOT NULL REFERENCES labels, task_id bigint NOT NULL REFERENCES tasks);
CREATE TABLE versions (item_type varchar, item_id bigint, event varchar, object text);
