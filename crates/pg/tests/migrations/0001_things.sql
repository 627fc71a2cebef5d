CREATE TABLE things (id bigserial PRIMARY KEY);
CREATE SCHEMA ficus;
