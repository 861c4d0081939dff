package discover

import "strings"

// frameworks are the tables that belong to a framework and not to the application. A * at the end stands for anything.
var frameworks = []struct {
	name   string
	tables []string
}{
	{"Rails", []string{"schema_migrations", "ar_internal_metadata", "solid_queue_*", "solid_cache_*", "solid_cable_*", "active_storage_*",
		"action_text_*", "action_mailbox_*", "sessions", "delayed_jobs", "good_job*", "que_*"}},
	// Not auth_user: it holds the application's users.
	{"Django", []string{"django_*", "auth_permission", "auth_group*", "auth_user_groups", "auth_user_user_permissions", "authtoken_token",
		"celery_*", "djcelery_*", "socialaccount_socialtoken"}},
	{"Alembic", []string{"alembic_version"}},
	{"Flyway", []string{"flyway_schema_history"}},
	{"Liquibase", []string{"databasechangelog*"}},
	{"Knex", []string{"knex_migrations*"}},
	{"Prisma", []string{"_prisma_migrations"}},
	{"Drizzle", []string{"__drizzle_migrations"}},
	{"Sequelize", []string{"sequelizemeta"}},
	{"goose", []string{"goose_db_version"}},
	{"Laravel", []string{"migrations", "failed_jobs", "job_batches", "cache", "cache_locks", "password_resets", "password_reset_tokens", "personal_access_tokens"}},
	{"Oban", []string{"oban_jobs", "oban_peers"}},
	{"PostGIS", []string{"spatial_ref_sys"}},
	{"pg_stat", []string{"pg_stat_*"}},
}

// Framework names the framework that a table belongs to, or "".
func Framework(table string) string {
	table = strings.ToLower(table)
	for _, f := range frameworks {
		for _, t := range f.tables {
			if prefix, ok := strings.CutSuffix(t, "*"); ok && strings.HasPrefix(table, prefix) || t == table {
				return f.name
			}
		}
	}
	return ""
}
