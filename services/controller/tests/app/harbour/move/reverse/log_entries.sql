SELECT line_no AS id, vessel AS boat, body AS said, CASE WHEN alarm THEN 'yes' ELSE 'no' END AS urgent,
       timestamptz 'epoch' + noted_us * interval '1 microsecond' AS noted_at
  FROM public.lines
