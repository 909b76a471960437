//! The dependencies that each crate may have. This is the only place that says so.

/// One crate of the workspace.
pub(super) struct Layer {
    pub(super) package: &'static str,
    /// The crates of this workspace that it may know.
    pub(super) ours: &'static [&'static str],
    /// Those that only its tests may know besides.
    pub(super) ours_in_tests: &'static [&'static str],
    /// The crates of others that it may depend on; tests are free to use more.
    pub(super) others: Others,
    /// Set when everything beneath it has to be pure as well, as long as no optional feature is on: see [`IMPURE`].
    pub(super) pure: bool,
}

pub(super) enum Others {
    Any,
    Only(&'static [&'static str]),
}

/// Crates that open sockets, read clocks or entropy, run tasks or log: nothing beneath a pure crate, however deep.
pub(super) const IMPURE: [&str; 14] = [
    "async-std",
    "chrono",
    "fastrand",
    "getrandom",
    "hyper",
    "log",
    "mio",
    "rand",
    "reqwest",
    "smol",
    "socket2",
    "time",
    "tokio",
    "tracing",
];

pub(super) const LAYERS: &[Layer] = &[
    Layer {
        package: "partwise-models",
        ours: &[],
        // Its tests turn its own features on.
        ours_in_tests: &["partwise-models"],
        others: Others::Only(&["proptest", "schemars", "serde", "utoipa"]),
        pure: true,
    },
    Layer {
        package: "partwise-protocol",
        ours: &["partwise-models"],
        ours_in_tests: &["partwise-testkit"],
        others: Others::Only(&[
            "bytes",
            "http",
            "httpdate",
            "memchr",
            "percent-encoding",
            "serde",
            "serde_json",
            "thiserror",
        ]),
        pure: true,
    },
    Layer {
        package: "partwise-net",
        ours: &[],
        ours_in_tests: &[],
        others: Others::Only(&[
            "bytes",
            "flate2",
            "futures-core",
            "http",
            "http-body",
            "rustix",
            "thiserror",
            "tokio",
        ]),
        pure: false,
    },
    Layer {
        package: "partwise-transport-hyper",
        ours: &["partwise-protocol", "partwise-net"],
        ours_in_tests: &[],
        others: Others::Only(&[
            "base64",
            "bytes",
            "futures-util",
            "http",
            "http-body",
            "http-body-util",
            "hyper",
            "hyper-util",
            "percent-encoding",
            "pin-project-lite",
            "rustix",
            "rustls",
            "rustls-native-certs",
            "rustls-webpki",
            "socket2",
            "thiserror",
            "tokio",
            "tokio-rustls",
            "tower-service",
            "tracing",
        ]),
        pure: false,
    },
    Layer {
        package: "partwise",
        ours: &["partwise-models", "partwise-protocol", "partwise-net", "partwise-transport-hyper"],
        // The client is tested with its features, and against the server; neither of the two knows the other otherwise.
        ours_in_tests: &["partwise", "partwise-server", "partwise-testkit"],
        others: Others::Only(&[
            "bytes",
            "fs4",
            "futures-core",
            "futures-util",
            "getrandom",
            "http",
            "http-body",
            "http-body-util",
            "md-5",
            "object_store",
            "rustix",
            "serde",
            "serde_json",
            "sha2",
            "tempfile",
            "thiserror",
            "tokio",
            "tower-service",
            "tracing",
            "twox-hash",
        ]),
        pure: false,
    },
    Layer {
        package: "partwise-server",
        ours: &["partwise-models", "partwise-protocol", "partwise-net"],
        ours_in_tests: &[],
        others: Others::Only(&[
            "async-trait",
            "base64",
            "bytes",
            "futures-util",
            "getrandom",
            "http",
            "http-body",
            "http-body-util",
            "httpdate",
            "hyper",
            "hyper-util",
            "md-5",
            "nix",
            "object_store",
            "rustix",
            "serde",
            "serde_json",
            "sha2",
            "socket2",
            "thiserror",
            "tokio",
            "tower-service",
            "tracing",
        ]),
        pure: false,
    },
    Layer {
        package: "partwise-cli",
        ours: &["partwise", "partwise-models", "partwise-protocol", "partwise-server"],
        ours_in_tests: &["partwise-testkit"],
        others: Others::Only(&[
            "clap",
            "console",
            "directories",
            "http",
            "percent-encoding",
            "rustix",
            "serde",
            "serde_json",
            "strsim",
            "tokio",
            "tracing",
            "tracing-subscriber",
        ]),
        pure: false,
    },
    // Tests alone; it does not know the client, so that the tests of everything else can use it.
    Layer {
        package: "partwise-testkit",
        ours: &["partwise-protocol", "partwise-server"],
        ours_in_tests: &[],
        others: Others::Any,
        pure: false,
    },
    // Tests alone, of the client without its default features.
    Layer {
        package: "partwise-without-hyper",
        ours: &[],
        ours_in_tests: &["partwise", "partwise-server"],
        others: Others::Only(&[]),
        pure: false,
    },
    // Benches alone.
    Layer {
        package: "partwise-instructions",
        ours: &[],
        ours_in_tests: &["partwise-models", "partwise-protocol"],
        others: Others::Only(&[]),
        pure: false,
    },
    // It has to run when the crates do not compile.
    Layer { package: "xtask", ours: &[], ours_in_tests: &[], others: Others::Any, pure: false },
    // It speaks HTTP by itself: a fault of ours must not hide from it.
    Layer { package: "partwise-soak", ours: &[], ours_in_tests: &[], others: Others::Any, pure: false },
    // What others are measured against must have nothing of ours in it; how fast the types are is measured too.
    Layer {
        package: "partwise-bench",
        ours: &["partwise-models"],
        ours_in_tests: &[],
        others: Others::Any,
        pure: false,
    },
];
