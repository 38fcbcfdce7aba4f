package gateway

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/account"
	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/gateway/notify"
	"cryptogramm.ru/cryptogramm/store"
)

// linkMail is the payload of a jobRegister or jobReset. It holds no secret: the
// link's token is derived from the job's subject when the mail is written, and
// the database has only its digest.
type linkMail struct {
	Address, Language string
	Time              time.Time
	Token             string `json:",omitempty"` // in a jobRegister that an earlier version queued: it was not derived
}

// secret is the token of an account link, of the length that account keeps.
func (g *Gateway) secret(kind, id string) string {
	m := hmac.New(sha256.New, g.LinkKey)
	m.Write([]byte(kind + "\x00" + id))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// Register mails a registration link to an address (S3.2a). Its answer does
// not tell whether the address has an account. Errors are those of
// account.BeginRegistration.
func (g *Gateway) Register(ctx context.Context, address, language, peer string) error {
	return g.mailLink(ctx, jobRegister, account.Mailing{Address: address, Language: language, Peer: peer}, g.Accounts.BeginRegistration)
}

// ForgotPassword mails the link to a new password to an address that has an
// account. Neither its answer nor its time tells whether it does: that is found
// by the job. Errors are those of account.BeginReset.
func (g *Gateway) ForgotPassword(ctx context.Context, address, language, peer string) error {
	return g.mailLink(ctx, jobReset, account.Mailing{Address: address, Language: language, Peer: peer}, g.Accounts.BeginReset)
}

// mailLink has the token kept and its mail queued, unless no mail is due.
func (g *Gateway) mailLink(ctx context.Context, kind string, m account.Mailing, begin func(context.Context, account.Mailing) (string, error)) error {
	id, now := "link-"+g.NewID(), g.Now() // not the id of anything that has a row
	m.Secret = g.secret(kind, id)
	token, err := begin(ctx, m)
	if err != nil || token == "" {
		return err
	}
	payload, err := json.Marshal(linkMail{Address: m.Address, Language: m.Language, Time: now})
	if err != nil {
		return err
	}
	return g.DB.AddJobs(ctx, []store.Job{{ID: kind + "-" + id, Kind: kind, Subject: id, Payload: payload, Due: now, Created: now}})
}

// ResetPassword sets a new password by a mailed link's token and tells the
// account's owner by mail. Errors are those of account.Reset.
func (g *Gateway) ResetPassword(ctx context.Context, token, password string) (*store.User, error) {
	return g.Accounts.Reset(ctx, account.Reset{Token: token, Password: password, Jobs: func(u *store.User) []store.Job {
		now := g.Now()
		return []store.Job{{ID: jobChanged + "-" + g.NewID(), Kind: jobChanged, Subject: u.ID, Due: now, Created: now}}
	}})
}

// sendRegistration mails the link, whoever has the address: where that is an
// account's, its owner alone learns so.
func (g *Gateway) sendRegistration(ctx context.Context, j *store.Job) (store.Outcome, error) {
	var r linkMail
	if err := json.Unmarshal(j.Payload, &r); err != nil {
		return store.Outcome{}, fmt.Errorf("registration payload: %w", err)
	}
	owner, err := g.Accounts.ResetUser(ctx, r.Address)
	if err != nil {
		return store.Outcome{}, err
	}
	m := g.accountMail(j, r.Address, r.Language)
	m.Date, m.Expires, m.Link = r.Time, r.Time.Add(account.RegistrationLife), g.BaseURL+"/register/"+cmp.Or(r.Token, g.secret(jobRegister, j.Subject))
	return g.sendAccountMail(ctx, j, accountMail{m, owner, notify.RenderRegistration})
}

// sendReset mails the link where there is an account to reset: in that
// account's language, else the one of the page.
func (g *Gateway) sendReset(ctx context.Context, j *store.Job) (store.Outcome, error) {
	var r linkMail
	if err := json.Unmarshal(j.Payload, &r); err != nil {
		return store.Outcome{}, fmt.Errorf("reset payload: %w", err)
	}
	owner, err := g.Accounts.ResetUser(ctx, r.Address)
	if err != nil || owner == nil {
		return store.Outcome{}, err
	}
	if owner.Language != "" {
		r.Language = owner.Language
	}
	m := g.accountMail(j, r.Address, r.Language)
	m.Date, m.Expires, m.Link = r.Time, r.Time.Add(account.ResetLife), g.BaseURL+"/password/"+g.secret(jobReset, j.Subject)
	return g.sendAccountMail(ctx, j, accountMail{m, owner, notify.RenderReset})
}

// sendChanged tells an account's owner that its password was changed.
func (g *Gateway) sendChanged(ctx context.Context, j *store.Job) (store.Outcome, error) {
	owner, err := g.DB.UserByID(ctx, j.Subject)
	if err != nil {
		return store.Outcome{}, err
	}
	m := g.accountMail(j, owner.Email, owner.Language)
	m.Date, m.Link = j.Created, g.BaseURL+"/password"
	return g.sendAccountMail(ctx, j, accountMail{m, owner, notify.RenderPasswordChanged})
}

// accountMail addresses a job's mail. The Message-ID is the job's own, so that
// a mail sent twice around a crash is the same mail.
func (g *Gateway) accountMail(j *store.Job, to, language string) notify.AccountMail {
	return notify.AccountMail{
		MessageID: g.messageID(j.ID), From: message.Address{Mailbox: g.serviceAddress()}, To: to, Language: language,
	}
}

// accountMail is a mail about an account, with whoever has one at its address.
type accountMail struct {
	notify.AccountMail
	owner *store.User // nil: nobody
	write func(notify.AccountMail) ([]byte, error)
}

// sendAccountMail sends a mail, or lays it into the mailbox that its reader has
// here. It gives up where the relay refuses the mail, or after as long as the
// link works.
func (g *Gateway) sendAccountMail(ctx context.Context, j *store.Job, m accountMail) (store.Outcome, error) {
	octets, err := m.write(m.AccountMail)
	if err != nil {
		return store.Outcome{}, err
	}
	if m.owner != nil && m.owner.Claimed && g.Local(m.To) {
		d, err := ownDelivery(m.owner, ownMail{octets, m.MessageID}, store.RoleInbox)
		if err != nil {
			return store.Outcome{}, err
		}
		d.Mail.ID, d.Internal = strings.Trim(m.MessageID, "<>"), g.Now()
		return store.Outcome{Mails: []store.Delivery{d}}, g.Notify.Copy(octets, m.MessageID)
	}
	err = g.Notify.Send(ctx, m.From.Mailbox, m.To, octets, m.MessageID)
	until := m.Expires
	if until.IsZero() {
		until = j.Created.Add(account.RegistrationLife)
	}
	var permanent *notify.PermanentError
	if errors.As(err, &permanent) || err != nil && g.Now().After(until) {
		g.Log.Warn("account mail given up", "job", j.ID, "error", err)
		return store.Outcome{}, nil
	}
	return store.Outcome{}, err
}
