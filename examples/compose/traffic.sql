-- What users of the CRM do. One statement a line: each is a transaction of its own.
INSERT INTO contacts (account_id, company_id, first_name, last_name, email, city, country) VALUES (1, 1, 'Grace', 'Okafor', 'grace@lumen-optics.example', 'Bremen', 'DE');
UPDATE contacts SET city = 'Hamburg', updated_at = now() WHERE id = (SELECT max(id) FROM contacts);
INSERT INTO deals (account_id, company_id, title, amount) VALUES (1, 1, 'Calibration', 990.00);
BEGIN; UPDATE deals SET amount = 0; ROLLBACK;
UPDATE deals SET stage = 'won' WHERE id = (SELECT max(id) FROM deals);
DELETE FROM contacts WHERE id = (SELECT max(id) FROM contacts WHERE id > 2);
DELETE FROM deals WHERE id = (SELECT max(id) FROM deals WHERE id > 2);
