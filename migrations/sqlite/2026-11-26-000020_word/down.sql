ALTER TABLE server DROP COLUMN name_form;
