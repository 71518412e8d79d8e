//! Real nodes: processes of the built binary on loopback, used through their command line, REST and admin socket only.

mod mesh {
    mod bad_input;
    mod classes;
    mod doctor;
    mod domains;
    mod emulate;
    mod events;
    mod failover;
    mod fleet;
    mod issuer;
    mod join;
    mod leave;
    mod models;
    mod netcheck;
    mod ready;
    mod recover;
    mod relay;
    mod renewal;
    mod replicate;
    mod restart;
    mod revoke;
    mod usage;
}
