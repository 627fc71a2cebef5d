CREATE TABLE orders (
    id       bigserial PRIMARY KEY,
    customer text NOT NULL,
    total    bigint NOT NULL,
    note     text
);
CREATE TABLE order_lines (
    order_id bigint NOT NULL REFERENCES orders ON DELETE CASCADE,
    line     int NOT NULL,
    sku      text NOT NULL,
    quantity int NOT NULL,
    PRIMARY KEY (order_id, line)
);
