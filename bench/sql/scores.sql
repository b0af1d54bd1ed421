-- Score and segment of each row by CASE: the scores once, then the segment from them. OFFSET of this type lets parallel workers help.
SELECT r * 100 + f * 10 + m AS score,
       CASE WHEN r >= 4 AND f >= 4 AND m >= 4 THEN 'VIP Champions' WHEN r >= 3 AND f >= 4 AND m >= 3 THEN 'Loyal High Value'
            WHEN r >= 3 AND f >= 4 THEN 'Loyal Low Value' WHEN r >= 4 AND f = 3 AND m >= 3 THEN 'Promising High Value'
            WHEN r >= 4 AND f = 3 THEN 'Promising Low Value' WHEN r <= 2 AND f >= 4 AND m >= 3 THEN 'Need Attention'
            WHEN r = 3 AND f = 3 THEN 'At Risk' WHEN r <= 2 AND f <= 3 THEN 'Hibernating' ELSE 'Others' END AS segment
FROM (SELECT CASE WHEN days <= 90 THEN 5 WHEN days <= 180 THEN 4 WHEN days <= 365 THEN 3 WHEN days <= 545 THEN 2 ELSE 1 END AS r,
             CASE WHEN orders >= 3 THEN 5 WHEN orders = 2 THEN 4 WHEN orders = 1 THEN 3 WHEN orders = 0 THEN 2 ELSE 1 END AS f,
             CASE WHEN amount < 20 THEN 1 WHEN amount < 55 THEN 2 WHEN amount < 150 THEN 3 WHEN amount < 330 THEN 4 ELSE 5 END AS m
      FROM measures
      OFFSET bigint '0') s
