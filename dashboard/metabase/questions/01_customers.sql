-- name: Customers
-- description: Customers with at least one purchase before the moment of the model.
-- display: scalar
-- size: 6x3
SELECT customers AS "Customers"
FROM :"model".overview;
