//! SIP and SDP to dialogs, calls and bindings.
