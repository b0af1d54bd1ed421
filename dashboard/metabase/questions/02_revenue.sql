-- name: Revenue
-- description: Revenue of all customers, without excluded lines, in the unit of the order lines.
-- display: scalar
-- size: 6x3
SELECT round(revenue) AS "Revenue"
FROM :"model".overview;
