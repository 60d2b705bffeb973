//! All commands of the project
