-- Values that an API writes as another type than the column has.
CREATE TABLE authors (id bigint PRIMARY KEY, pen_name text, name text);
CREATE TABLE books (
    id bigint PRIMARY KEY, isbn bigint, pages bigint, series_number int, price numeric, weight numeric, height numeric, title text,
    published_at timestamptz, printed timestamp, archived_at timestamptz, author_id bigint REFERENCES authors, editor bigint REFERENCES authors,
    ratings int[], doc jsonb, is_new boolean, code text, blurb_title text, blurb_text text, score double precision,
    label text GENERATED ALWAYS AS (title || '!') STORED, api_token text);
CREATE TABLE genres (id int PRIMARY KEY, name text);
CREATE TABLE books_genres (book_id bigint REFERENCES books, genre_id int REFERENCES genres, PRIMARY KEY (book_id, genre_id));
CREATE TABLE book_reviews (id int PRIMARY KEY, book_id bigint REFERENCES books, text text, stars int, author_id bigint REFERENCES authors);
CREATE TABLE goose_db_version (id int PRIMARY KEY);
CREATE TABLE knex_migrations (id int PRIMARY KEY);
