//! infra-live
