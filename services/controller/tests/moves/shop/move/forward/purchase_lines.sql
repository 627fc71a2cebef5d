SELECT order_id AS purchase_id, line, sku, quantity FROM public.order_lines
