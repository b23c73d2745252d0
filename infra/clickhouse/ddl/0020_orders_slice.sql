-- Which child of its intent a line is about; an order sent whole is slice 0.
ALTER TABLE orders
    ADD COLUMN IF NOT EXISTS slice Int64 AFTER latency_ns
