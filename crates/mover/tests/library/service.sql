CREATE TYPE item_state AS ENUM ('in', 'out', 'lost');
CREATE TABLE places (
    area text NOT NULL, number int NOT NULL, label text NOT NULL UNIQUE, PRIMARY KEY (area, number)
);
CREATE TABLE people (code text PRIMARY KEY, name text NOT NULL, born date);
CREATE TABLE titles (
    isbn text PRIMARY KEY, area text NOT NULL, number int NOT NULL,
    author_code text NOT NULL REFERENCES people, author_name text NOT NULL,
    title text NOT NULL, price numeric(10, 2), tags text[] NOT NULL DEFAULT '{}',
    FOREIGN KEY (area, number) REFERENCES places
);
CREATE INDEX ON titles (author_code);
CREATE TABLE items (isbn text NOT NULL, nr int NOT NULL, state item_state NOT NULL, PRIMARY KEY (isbn, nr));
CREATE TABLE lendings (id bigserial PRIMARY KEY, isbn text, nr int, at timestamptz NOT NULL DEFAULT now());
