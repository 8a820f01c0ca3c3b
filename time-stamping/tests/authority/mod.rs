//! A time-stamping authority for tests: the `openssl` program with keys and certificates made for one test.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "shared by tests; a failed unwrap is a failed test"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

/// What the authority signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Rsa,
    P256,
    P384,
}

impl Key {
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Rsa => &["-newkey", "rsa:2048"],
            Self::P256 => &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
            Self::P384 => &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
        }
    }
}

/// How the authority differs from a good one.
#[derive(Debug, Clone)]
pub struct Plan {
    pub key: Key,
    pub digest: &'static str,
    /// Extensions of its certificate.
    pub extensions: &'static str,
    /// First and last moment of its certificate.
    pub validity: (&'static str, &'static str),
    /// Algorithm of the digest that names its certificate.
    pub certificate_digest: &'static str,
    /// Whether another authority stands between it and the root.
    pub has_intermediate: bool,
}

pub const GOOD_EXTENSIONS: &str =
    "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=critical,timeStamping\n";
const CA_EXTENSIONS: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n";
pub const ALWAYS: (&str, &str) = ("20200101000000Z", "20491231000000Z");

impl Plan {
    pub fn good(key: Key) -> Self {
        Self {
            key,
            digest: "sha256",
            extensions: GOOD_EXTENSIONS,
            validity: ALWAYS,
            certificate_digest: "sha256",
            has_intermediate: false,
        }
    }
}

/// Keys, certificates and configuration in a folder of their own.
pub struct Authority {
    folder: tempfile::TempDir,
}

/// Whether the `openssl` program is here; says so where it is not.
pub fn openssl_is_here() -> bool {
    let here = Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success());
    if !here {
        eprintln!("SKIPPED: the program openssl is not installed, so there is no time-stamping authority to test with");
    }
    here
}

impl Authority {
    pub fn good(key: Key) -> Self {
        Self::new(&Plan::good(key))
    }

    pub fn new(plan: &Plan) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Self { folder };
        let signer = if plan.has_intermediate { "between" } else { "root" };
        authority.write("root.ext", CA_EXTENSIONS);
        authority.write("tsa.ext", plan.extensions);
        authority.write("serial", "01\n");
        authority.write("index.txt", "");
        authority.write("tsa.cnf", configuration(authority.path(), plan, signer));
        authority.key(plan.key, "root", "/O=Example/CN=Example Root");
        let mut root =
            vec!["req", "-x509", "-key", "root.key", "-out", "root.pem", "-days", "9000", "-config", "tsa.cnf"];
        root.extend(["-extensions", "authority", "-subj", "/O=Example/CN=Example Root"]);
        authority.openssl(&root);
        if plan.has_intermediate {
            authority.key(plan.key, "between", "/O=Example/CN=Example Between");
            authority.issue("root", "between", "root.ext", ALWAYS);
        }
        authority.key(plan.key, "tsa", "/O=Example/CN=Example TSA");
        authority.issue(signer, "tsa", "tsa.ext", plan.validity);
        authority
    }

    /// A key, and a request for a certificate for it.
    fn key(&self, key: Key, name: &str, subject: &str) {
        let (key_file, request) = (format!("{name}.key"), format!("{name}.csr"));
        let mut arguments = vec!["req", "-new", "-nodes", "-keyout", &key_file, "-out", &request, "-subj", subject];
        arguments.extend(["-config", "tsa.cnf"]);
        arguments.extend(key.arguments());
        self.openssl(&arguments);
    }

    /// A certificate for `name`, signed by `signer`.
    pub fn issue(&self, signer: &str, name: &str, extensions: &str, validity: (&str, &str)) {
        let (certificate, key) = (format!("{signer}.pem"), format!("{signer}.key"));
        let (request, out) = (format!("{name}.csr"), format!("{name}.pem"));
        self.openssl(&[
            "ca",
            "-batch",
            "-notext",
            "-config",
            "tsa.cnf",
            "-cert",
            &certificate,
            "-keyfile",
            &key,
            "-in",
            &request,
            "-out",
            &out,
            "-extfile",
            extensions,
            "-startdate",
            validity.0,
            "-enddate",
            validity.1,
        ]);
    }

    /// Answers a request as a time-stamping authority does.
    pub fn reply(&self, request: &[u8]) -> Vec<u8> {
        self.write("request.tsq", request);
        self.openssl(&["ts", "-reply", "-config", "tsa.cnf", "-queryfile", "request.tsq", "-out", "reply.tsr"]);
        self.read("reply.tsr")
    }

    pub fn roots(&self) -> String {
        String::from_utf8(self.read("root.pem")).unwrap()
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.file(name), content).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.file(name)).unwrap()
    }

    /// Runs openssl in the folder; anything but success ends the test. Answers what it printed.
    pub fn openssl(&self, arguments: &[&str]) -> String {
        let output = Command::new("openssl").args(arguments).current_dir(self.path()).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {}: {errors}", arguments.join(" "));
        format!("{}{errors}", String::from_utf8_lossy(&output.stdout))
    }
}

fn configuration(folder: &Path, plan: &Plan, signer: &str) -> String {
    format!(
        "[req]\ndistinguished_name=name\nprompt=no\n[name]\nCN=unused\n[authority]\n{CA_EXTENSIONS}\
         [ca]\ndefault_ca=issuing\n[issuing]\ndatabase={folder}/index.txt\nnew_certs_dir={folder}\n\
         serial={folder}/serial\ndefault_md=sha256\npolicy=any\nunique_subject=no\nemail_in_dn=no\n\
         [any]\norganizationName=optional\ncommonName=supplied\n\
         [tsa]\ndefault_tsa=stamping\n[stamping]\ndir={folder}\nserial=$dir/tsaserial\ncrypto_device=builtin\n\
         signer_cert=$dir/tsa.pem\ncerts=$dir/{signer}.pem\nsigner_key=$dir/tsa.key\nsigner_digest={digest}\n\
         default_policy=1.2.3.4.1\ndigests=sha256,sha384,sha512\naccuracy=secs:1,millisecs:500,microsecs:100\n\
         clock_precision_digits=6\nordering=yes\ntsa_name=yes\ness_cert_id_chain=no\ness_cert_id_alg={certificate}\n",
        folder = folder.display(),
        digest = plan.digest,
        certificate = plan.certificate_digest,
    )
}
