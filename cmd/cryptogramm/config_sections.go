package main

import "net/netip"

// SMTPConfig has the doors at which senders submit; an empty one is closed.
type SMTPConfig struct {
	Submissions string `toml:"submissions"`
	Submission  string `toml:"submission"`
}

// IMAPConfig has the doors of the mailboxes.
type IMAPConfig struct {
	IMAPS       string `toml:"imaps"`
	IMAP        string `toml:"imap"`
	Connections int    `toml:"connections"`
	PerAddress  int    `toml:"per_address"`
}

// WebConfig has the doors of the web view.
type WebConfig struct {
	HTTPS    string `toml:"https"`
	Redirect string `toml:"redirect"`
}

// KeyPairConfig names a certificate with its chain, and its key.
type KeyPairConfig struct {
	Certificate string `toml:"certificate_file"`
	Key         string `toml:"key_file"`
}

// StoreConfig says where the rows are.
type StoreConfig struct {
	Driver  string `toml:"driver"`
	DSNFile string `toml:"dsn_file"`
	Owner   string `toml:"owner_dsn_file"`
}

// BlobsConfig says where the letters are; all below the driver is of "s3".
type BlobsConfig struct {
	Driver        string `toml:"driver"`
	Endpoint      string `toml:"endpoint"`
	Region        string `toml:"region"`
	Bucket        string `toml:"bucket"`
	Prefix        string `toml:"prefix"`
	AccessKeyFile string `toml:"access_key_file"`
	SecretKeyFile string `toml:"secret_key_file"`
	Secure        bool   `toml:"secure"`
	CAFile        string `toml:"ca_file"`
	RetentionDays int    `toml:"retention_days"`
	SpoolMiB      int64  `toml:"spool_mib"`
	CacheMiB      int64  `toml:"cache_mib"`
}

// RelayConfig is the mail server that takes our mail to the world.
type RelayConfig struct {
	Address        string `toml:"address"`
	Security       string `toml:"security"`
	Login          string `toml:"login"`
	PasswordFile   string `toml:"password_file"`
	CAFile         string `toml:"ca_file"`
	PerDestination int    `toml:"per_destination"`
}

// DKIMConfig signs our mail to the world (RFC 6376) for the gateway's domain.
type DKIMConfig struct {
	Selector string `toml:"selector"`
	KeyFile  string `toml:"key_file"`
}

// PolicyConfig is what a letter must be to be accepted.
type PolicyConfig struct {
	DocumentSigner string `toml:"document_signer"`
	Revocation     string `toml:"revocation"`
	AcceptBare     bool   `toml:"accept_without_signed_attributes"`
}

// RevocationConfig says whether CRLs, OCSP answers and missing certificates
// are fetched, and from where beside the public Internet.
type RevocationConfig struct {
	Fetch bool           `toml:"fetch"`
	Allow []netip.Prefix `toml:"allow"`
	Ports []uint16       `toml:"ports"`
}

// Limits are the gateway's; what is zero has the gateway's own default.
type Limits struct {
	LetterMiB  int64    `toml:"letter_mib"`
	Slots      int      `toml:"judging_slots"`
	SlotWait   duration `toml:"slot_wait"`
	JudgeTime  duration `toml:"judge_time"`
	LinkLife   duration `toml:"link_life"`
	DraftLife  duration `toml:"draft_life"`
	RefusedFor duration `toml:"refused_bytes_kept"`
	RefusedMiB int64    `toml:"refused_mib"`
}
