SELECT id AS line_no, boat AS vessel, said AS body, urgent = 'yes' AS alarm,
       (extract(epoch FROM noted_at) * 1000000)::bigint AS noted_us
  FROM public.log_entries
