//! One file per codec behind one contract.
