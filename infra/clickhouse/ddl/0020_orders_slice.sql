-- Which child of its intent a line is about; an order sent whole is slice 0.
ALTER TABLE orders ADD COLUMN slice Int64 DEFAULT 0 AFTER kind
