//! Every statement whose names are data.
