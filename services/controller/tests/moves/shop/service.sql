-- The role is called ficus, and so is the engine's schema: unqualified names would be made there.
CREATE TABLE public.purchases (
    purchase_id bigserial PRIMARY KEY,
    buyer       text NOT NULL,
    total       bigint NOT NULL,
    remark      text
);
CREATE TABLE public.purchase_lines (
    purchase_id bigint NOT NULL REFERENCES public.purchases ON DELETE CASCADE,
    line        int NOT NULL,
    sku         text NOT NULL,
    quantity    int NOT NULL,
    PRIMARY KEY (purchase_id, line)
);
