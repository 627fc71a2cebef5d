CREATE TABLE shelves (
    area text NOT NULL, number int NOT NULL, label text NOT NULL UNIQUE, PRIMARY KEY (area, number)
);
CREATE TABLE authors (code text COLLATE "und-x-icu" PRIMARY KEY, name text NOT NULL, born date);
CREATE TABLE books (
    isbn text PRIMARY KEY, area text NOT NULL, number int NOT NULL, author text COLLATE "und-x-icu" NOT NULL REFERENCES authors,
    title text NOT NULL, price numeric(10, 2), tags text[] NOT NULL DEFAULT '{}',
    FOREIGN KEY (area, number) REFERENCES shelves
);
CREATE INDEX ON books (author);
CREATE TABLE copies (isbn text NOT NULL, nr int NOT NULL, state text NOT NULL, PRIMARY KEY (isbn, nr));
CREATE TABLE loans (id bigserial PRIMARY KEY, isbn text, nr int, at timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'));
