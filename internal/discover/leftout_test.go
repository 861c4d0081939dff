package discover

import "testing"

func TestFramework(t *testing.T) {
	t.Parallel()
	for table, want := range map[string]string{
		"schema_migrations": "Rails", "ar_internal_metadata": "Rails", "solid_queue_jobs": "Rails", "solid_cable_messages": "Rails",
		"active_storage_blobs": "Rails", "action_text_rich_texts": "Rails", "action_mailbox_inbound_emails": "Rails", "sessions": "Rails",
		"good_jobs": "Rails", "good_job_batches": "Rails", "que_jobs": "Rails", "delayed_jobs": "Rails",
		"django_session": "Django", "auth_permission": "Django", "auth_group": "Django", "auth_group_permissions": "Django",
		"auth_user_groups": "Django", "celery_taskmeta": "Django", "djcelery_crontabschedule": "Django",
		"alembic_version": "Alembic", "flyway_schema_history": "Flyway", "databasechangelog": "Liquibase", "databasechangeloglock": "Liquibase",
		"knex_migrations": "Knex", "knex_migrations_lock": "Knex", "_prisma_migrations": "Prisma", "SequelizeMeta": "Sequelize",
		"goose_db_version": "goose", "migrations": "Laravel", "oban_jobs": "Oban", "oban_peers": "Oban", "spatial_ref_sys": "PostGIS",
		"pg_stat_statements": "pg_stat",
		// the application's
		"auth_user": "", "contacts": "", "jobs": "", "queues": "", "sessions_archive": "", "obanx": "", "user_sessions": "", "question": "",
		"my_schema_migrations": "", "events": "", "users": "",
	} {
		if got := Framework(table); got != want {
			t.Errorf("%s: got %q, want %q", table, got, want)
		}
	}
}

func TestLooksSecret(t *testing.T) {
	t.Parallel()
	for _, c := range []string{
		"password", "password_digest", "password_hash", "passwordHash", "encrypted_password", "hashed_password", "passwd", "pwd",
		"recovery_digest", "encrypted_ssn", "api_token", "reset_password_token", "tokens", "resetToken", "client_secret", "webhook_secret",
		"api_key", "apikey", "apiKey", "private_key", "access_key_id", "aws_secret_access_key", "otp_secret", "otp_required", "totp", "ssn",
		"salt", "password_salt", "credit_card", "credit_card_number", "card_number", "cvv", "cvc", "pin_hash", "credentials",
	} {
		if !LooksSecret(c) {
			t.Errorf("%s does not look secret", c)
		}
	}
	for _, c := range []string{
		"id", "name", "email", "key", "primary_key", "foreign_key", "sort_key", "file_hash", "content_hash", "digestible", "compass",
		"passenger_id", "card_id", "session_count", "lesson", "classname", "assn", "notes", "created_at", "position", "optional",
	} {
		if LooksSecret(c) {
			t.Errorf("%s looks secret", c)
		}
	}
}
