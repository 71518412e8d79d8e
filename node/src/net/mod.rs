//! One UDP port and one QUIC endpoint; four lanes told apart by ALPN.
