//! Runs one network node with its sockets. (being written)
