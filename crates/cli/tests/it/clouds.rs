//! `partwise serve` over buckets, in the dialects of three clouds.

use insta::assert_snapshot;
use partwise_testkit::{
    certificates::Authority,
    cloud::{Dialect, FakeCloud, Fault, Kind, Listening, Seen, environment, url},
    content::noise,
    runtime::background,
};

use crate::sandbox::{Ran, Sandbox, Serving};

const MIB: usize = 1 << 20;
const KEY: (&str, &str) = ("OPENAI_API_KEY", "key");

/// A cloud at a socket, and the environment of those who use it.
struct Scene {
    dialect: Dialect,
    cloud: FakeCloud,
    _listening: Listening,
    environment: Vec<(&'static str, String)>,
    sandbox: Sandbox,
}

impl Scene {
    fn new(dialect: Dialect) -> Self {
        let cloud = FakeCloud::new();
        let listening = background().block_on(cloud.listen());
        let environment = environment(dialect, &listening.endpoint());
        Self { dialect, cloud, _listening: listening, environment, sandbox: Sandbox::new() }
    }

    fn environment(&self) -> Vec<(&'static str, &str)> {
        self.environment.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }

    fn serve(&self) -> Serving {
        let environment = [&self.environment()[..], &[("PARTWISE_API_KEYS", KEY.1)]].concat();
        self.sandbox.serve_store(&format!("{}/team/files", url(self.dialect)), &environment)
    }

    /// Starts a server that is not to start, over this store, with this besides in its environment.
    fn refused(&self, store: &str, changed: &[(&'static str, &'static str)]) -> String {
        let environment = [&self.environment(), changed].concat();
        let serve = ["serve", "--listen", "127.0.0.1:0", "--store", store];
        self.sandbox.run_with(&serve, &environment).refused(1)
    }

    fn ask(&self, server: &Serving, arguments: &[&str]) -> Ran {
        let endpoint = format!("{}/v1", server.origin);
        self.sandbox.run_with(&[arguments, &["--endpoint", &endpoint]].concat(), &[KEY])
    }
}

#[test]
fn files_in_a_bucket_are_served_by_one_server_after_the_other() {
    for dialect in Dialect::ALL {
        let scene = Scene::new(dialect);
        let content = noise(20 * MIB);
        scene.sandbox.write("large.bin", &content);
        let server = scene.serve();
        let upload = ["upload", "large.bin", "--purpose", "assistants", "--part-size", "9MiB", "--json"];
        let stored = scene.ask(&server, &upload).json();
        let id = stored["id"].as_str().unwrap();
        assert_eq!(server.stop(), (0, String::new()), "{dialect:?}");
        assert!(scene.cloud.count(Kind::Part) > 0, "{dialect:?}");
        let stray: Vec<_> =
            scene.cloud.keys().into_iter().filter(|key| !key.starts_with("team/files/")).collect();
        assert_eq!(stray, [""; 0], "{dialect:?}");

        let server = scene.serve();
        scene.ask(&server, &["files", "download", id, "-o", "back.bin"]).done();
        assert!(scene.sandbox.read("back.bin") == content, "{dialect:?}");
        scene.ask(&server, &["files", "delete", id]).done();
        assert_eq!(scene.ask(&server, &["files", "list", "--json"]).done(), "", "{dialect:?}");
        assert_eq!(server.stop(), (0, String::new()), "{dialect:?}");
    }
}

#[test]
fn a_delete_whose_answer_from_the_bucket_is_lost_is_done() {
    for dialect in Dialect::ALL {
        for fault in [Fault::LoseAnswer, Fault::FailAfterwards(503)] {
            let scene = Scene::new(dialect);
            scene.sandbox.write("a.txt", "x");
            let server = scene.serve();
            let upload = ["upload", "a.txt", "--purpose", "assistants", "--json"];
            let stored = scene.ask(&server, &upload).json();
            scene.cloud.on(Kind::Create).of(".deleted.json").first(1, fault);
            scene.ask(&server, &["files", "delete", stored["id"].as_str().unwrap()]).done();
            let met = scene.cloud.seen().iter().filter(|seen| seen.fault.is_some()).count();
            assert_eq!(met, 1, "{dialect:?}, {fault:?}");
        }
    }
}

#[test]
fn a_bucket_that_cannot_be_used_is_told_before_anything_is_served() {
    for dialect in Dialect::ALL {
        let scene = Scene::new(dialect);
        let nowhere = url(dialect).replace("bucket", "nowhere");
        let told = scene.refused(&nowhere, &[]);
        assert!(told.starts_with("error: there is no bucket or container `"), "{told}");
        assert!(told.contains("\nhint: make it first"), "{told}");

        let stranger = match dialect {
            Dialect::S3 => ("AWS_ACCESS_KEY_ID", "stranger"),
            Dialect::Azure => ("AZURE_STORAGE_ACCOUNT_NAME", "stranger"),
            Dialect::Gcs => ("GOOGLE_BEARER_TOKEN", "stranger"),
        };
        let told = scene.refused(&url(dialect), &[stranger]);
        assert!(told.contains("rejects the credentials") && told.contains("\nhint: "), "{told}");

        let plain = match dialect {
            Dialect::S3 => ("AWS_ALLOW_HTTP", "false"),
            Dialect::Azure => ("AZURE_ALLOW_HTTP", "false"),
            Dialect::Gcs => ("GOOGLE_ALLOW_HTTP", "false"),
        };
        scene.cloud.forget();
        let told = scene.refused(&url(dialect), &[plain]);
        assert!(told.contains("the store is at a plain http address"), "{told}");
        assert_eq!(scene.cloud.seen(), [], "{dialect:?}: nothing is sent in the clear");

        scene.cloud.on(Kind::Create).every(Fault::Overwrite);
        let told = scene.refused(&url(dialect), &[]);
        assert!(told.contains("overwrites objects"), "{told}");
    }
}

#[test]
fn a_store_that_overwrites_is_served_when_it_is_not_to_be_tried_out() {
    for dialect in Dialect::ALL {
        let scene = Scene::new(dialect);
        scene.cloud.on(Kind::Create).every(Fault::Overwrite);
        let told = scene.refused(&url(dialect), &[]);
        assert!(told.contains("overwrites objects"), "{told}");
        scene.sandbox.write("a.txt", "x");
        let local = ["upload", "a.txt", "--purpose", "assistants", "--local", "--store", &url(dialect)];
        let told = scene.sandbox.run_with(&local, &scene.environment()).refused(1);
        assert!(told.contains("overwrites objects"), "{told}");

        scene.cloud.forget();
        scene.sandbox.run_with(&[&local[..], &["--no-store-probe"]].concat(), &scene.environment()).done();
        let serve = ["serve", "--listen", "127.0.0.1:0", "--store", &url(dialect), "--no-store-probe"];
        let server = Sandbox::started(scene.sandbox.command(&serve), &scene.environment());
        assert_eq!(server.stop().0, 0);
        let is_probe = |seen: &Seen| seen.kind == Kind::Create && seen.key.contains("probe/");
        assert!(!scene.cloud.seen().iter().any(is_probe), "{dialect:?}");
    }
}

#[test]
fn a_store_with_a_certificate_of_another_authority_is_reached_when_that_is_named() {
    for dialect in Dialect::ALL {
        let (cloud, authority, sandbox) = (FakeCloud::new(), Authority::new(), Sandbox::new());
        let listening = background().block_on(cloud.listen_over_tls(authority.acceptor("127.0.0.1")));
        sandbox.write("ca.pem", authority.pem());
        sandbox.write("other.pem", Authority::new().pem());
        sandbox.write("no.pem", "no certificate");
        sandbox.write("a.txt", "x");
        let environment = environment(dialect, &listening.endpoint());
        let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let url = url(dialect);
        let serve = |flags: &[&str]| {
            let arguments = [&["serve", "--listen", "127.0.0.1:0", "--store", &url], flags].concat();
            sandbox.command(&arguments)
        };
        let refused = |flags: &[&str]| {
            let ran = serve(flags).envs(environment.iter().copied()).output().unwrap();
            Ran::of(ran).refused(1)
        };
        let told = refused(&["--ca-cert", "other.pem"]);
        assert!(told.contains("its certificate is signed by nobody that is trusted here"), "{told}");
        assert!(told.contains("\nhint: --ca-cert FILE trusts another CA's certificate"), "{told}");
        insta::allow_duplicates! {
            assert_snapshot!(refused(&["--ca-cert", "missing.pem"]), @"error: --ca-cert missing.pem: No such file or directory (os error 2)");
            assert_snapshot!(refused(&["--ca-cert", "no.pem"]), @"error: --ca-cert no.pem: there is no certificate in the given CA certificates: they must be in PEM format");
        }
        assert_eq!(cloud.seen(), [], "{dialect:?}");

        let server = Sandbox::started(serve(&["--ca-cert", "ca.pem"]), &environment);
        assert_eq!(server.stop().0, 0);
        let local = ["upload", "a.txt", "--purpose", "assistants", "--local", "--store", &url];
        sandbox.run_with(&[&local[..], &["--ca-cert", "ca.pem"]].concat(), &environment).done();
        assert!(cloud.count(Kind::Create) > 0, "{dialect:?}");
    }
}
