//! What the catalogue says of tables and views.
