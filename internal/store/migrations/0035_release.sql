-- The rowhook that brought the store to its version, for the one that may not use it: null before this version.
ALTER TABLE store ADD COLUMN release text;
