//! Carries out what the transfer engine wants. (being written)
