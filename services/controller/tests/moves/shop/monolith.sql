-- The role is called ficus, and so is the engine's schema: unqualified names would be made there.
CREATE TABLE public.orders (
    id       bigserial PRIMARY KEY,
    customer text NOT NULL,
    total    bigint NOT NULL,
    note     text
);
CREATE TABLE public.order_lines (
    order_id bigint NOT NULL REFERENCES public.orders ON DELETE CASCADE,
    line     int NOT NULL,
    sku      text NOT NULL,
    quantity int NOT NULL,
    PRIMARY KEY (order_id, line)
);
