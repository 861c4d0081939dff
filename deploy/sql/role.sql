-- The least that rowhook needs, made by a superuser or by the owner of the database. With it rowhook makes nothing of its
-- own outside the schema rowhook, apart from its replication slot.
--
--   psql "$ADMIN_URL" -v ON_ERROR_STOP=1 -v password=… -f deploy/sql/role.sql
--
-- Put your tables in the place of public.companies, public.contacts, public.deals: in the GRANT and in the publication.

-- REPLICATION lets it read the log: of every table in every database of the server, which is how Postgres grants it.
-- Amazon RDS and Aurora: leave REPLICATION out, and GRANT rds_replication TO rowhook; instead.
CREATE ROLE rowhook LOGIN REPLICATION PASSWORD :'password';

-- What is mapped can be read: for preview, and for large values that an update did not touch, which are not in the log.
-- The stream itself asks for no privilege on tables.
GRANT USAGE ON SCHEMA public TO rowhook;
GRANT SELECT ON public.companies, public.contacts, public.deals TO rowhook;

-- Where subscriptions, events and deliveries are kept. Not needed where store.url names another database.
-- Without a superuser, Postgres 16 and later want GRANT rowhook TO CURRENT_USER; before this.
CREATE SCHEMA rowhook AUTHORIZATION rowhook;

-- Which tables' changes are in the stream. Only the owner of the tables can make it; rowhook finds it there.
-- Partitioned tables need WITH (publish_via_partition_root = true). On Postgres 18 and later add
-- publish_generated_columns = stored: without it updates of tables with stored generated columns and REPLICA IDENTITY FULL fail.
CREATE PUBLICATION rowhook FOR TABLE public.companies, public.contacts, public.deals;
