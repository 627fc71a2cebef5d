CREATE TABLE purchases (
    purchase_id bigserial PRIMARY KEY,
    buyer       text NOT NULL,
    total       bigint NOT NULL,
    remark      text
);
CREATE TABLE purchase_lines (
    purchase_id bigint NOT NULL REFERENCES purchases ON DELETE CASCADE,
    line        int NOT NULL,
    sku         text NOT NULL,
    quantity    int NOT NULL,
    PRIMARY KEY (purchase_id, line)
);
