SELECT purchase_id AS id, buyer AS customer, total, remark AS note FROM public.purchases
