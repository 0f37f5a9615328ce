//! infra-diesel
