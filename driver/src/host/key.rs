//! The key pair by which a node of our own overlays is known, and what TLS needs to know of it.
//!
//! Peers show raw Ed25519 public keys (RFC 7250) in place of certificates: whoever dials pins the key that he dials, whoever accepts learns the key
//! of who has come. Both prove that they have the private half.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, DistinguishedName, Error, PeerMisbehaved, ServerConfig, SignatureScheme};

/// What comes before the 32 bytes of a public key (RFC 8410, SubjectPublicKeyInfo).
const PUBLIC_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// What comes before the 32 bytes of a seed (RFC 8410, PKCS #8).
const SEED_PREFIX: [u8; 16] = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// An Ed25519 key pair.
#[derive(Clone, PartialEq, Eq)]
pub struct NodeKey {
    seed: [u8; 32],
    public: [u8; 32],
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeKey(")?;
        self.public.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

impl NodeKey {
    /// A fresh pair.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn generate() -> io::Result<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| io::Error::other(error.to_string()))?;
        Self::from_seed(seed)
    }

    /// The pair that this seed stands for: what RFC 8032 calls the private key.
    ///
    /// # Errors
    /// When the cryptographic library refuses it.
    pub fn from_seed(seed: [u8; 32]) -> io::Result<Self> {
        let signing = signing_key(&seed).map_err(io::Error::other)?;
        let public = signing.public_key().and_then(|der| public_key_in(&der));
        Ok(Self { seed, public: public.ok_or_else(|| io::Error::other("no Ed25519 key"))? })
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.public
    }

    /// The private half.
    #[must_use]
    pub fn seed(&self) -> [u8; 32] {
        self.seed
    }

    /// Signs a message (RFC 8032).
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let refused = || Error::General("the key does not sign by Ed25519".to_owned());
        signing_key(&self.seed)?.choose_scheme(&[SignatureScheme::ED25519]).ok_or_else(refused)?.sign(message)
    }

    fn certified(&self) -> Result<Arc<CertifiedKey>, Error> {
        let shown = CertificateDer::from([&PUBLIC_PREFIX[..], &self.public].concat());
        Ok(Arc::new(CertifiedKey::new(vec![shown], signing_key(&self.seed)?)))
    }

    /// TLS for dialling whoever has the public key `expected`, under the protocol `alpn`.
    pub(super) fn client_config(&self, expected: [u8; 32], alpn: &[u8]) -> Result<ClientConfig, Error> {
        let provider = Arc::new(ring::default_provider());
        let verifier = Arc::new(Pinned { expected: Some(expected), provider: provider.clone() });
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(self.certified()?)));
        config.alpn_protocols = vec![alpn.to_vec()];
        config.enable_sni = false;
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    /// TLS for whoever dials us under the protocol `alpn` and shows a key.
    pub(super) fn server_config(&self, alpn: &[u8]) -> Result<ServerConfig, Error> {
        let provider = Arc::new(ring::default_provider());
        let verifier = Arc::new(Pinned { expected: None, provider: provider.clone() });
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(self.certified()?)));
        config.alpn_protocols = vec![alpn.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }
}

fn signing_key(seed: &[u8; 32]) -> Result<Arc<dyn rustls::sign::SigningKey>, Error> {
    ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from([&SEED_PREFIX[..], seed].concat()))
}

/// The Ed25519 key in a SubjectPublicKeyInfo.
pub(super) fn public_key_in(der: &[u8]) -> Option<[u8; 32]> {
    der.strip_prefix(&PUBLIC_PREFIX[..])?.try_into().ok()
}

/// Takes Ed25519 keys only, and one only where it is known which.
#[derive(Debug)]
struct Pinned {
    expected: Option<[u8; 32]>,
    provider: Arc<CryptoProvider>,
}

/// What a dialler says about a peer with another key.
pub(super) const ANOTHER_KEY: &str = "the peer has another key";

impl Pinned {
    fn look_at(&self, shown: &CertificateDer<'_>) -> Result<(), Error> {
        let key = public_key_in(shown).ok_or_else(|| Error::General("not an Ed25519 key".to_owned()))?;
        if self.expected.is_some_and(|expected| expected != key) {
            return Err(Error::General(ANOTHER_KEY.to_owned()));
        }
        Ok(())
    }

    fn verify(&self, message: &[u8], shown: &CertificateDer<'_>, signed: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(shown.as_ref());
        verify_tls13_signature_with_raw_key(message, &key, signed, &self.provider.signature_verification_algorithms)
    }
}

/// TLS 1.2 is not spoken here.
fn too_old() -> Result<HandshakeSignatureValid, Error> {
    Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into())
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.look_at(shown).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        too_old()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify(message, shown, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(&self, shown: &CertificateDer<'_>, _: &[CertificateDer<'_>], _: UnixTime) -> Result<ClientCertVerified, Error> {
        self.look_at(shown).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        too_old()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify(message, shown, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_stands_for_the_key_of_the_rfc() {
        // RFC 8032, 7.1, test 1.
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        let bytes: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&seed[2 * at..2 * at + 2], 16).expect("hexadecimal")).collect();
        let key = NodeKey::from_seed(bytes.try_into().expect("32 bytes")).expect("a key");
        assert_eq!(format!("{key:?}"), format!("NodeKey({public})"));
    }
}
