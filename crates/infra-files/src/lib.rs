//! infra-files
