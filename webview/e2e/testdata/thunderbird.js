// What the tests do inside Thunderbird, with its own privileges. Each function
// is called by name with one argument of plain data and answers plain data.

const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");

function until(what, condition) {
  return new Promise((resolve, reject) => {
    const end = Date.now() + 30000;
    const look = () => {
      let value;
      try {
        value = condition();
      } catch (e) {
        return reject(e);
      }
      if (value) {
        resolve(value);
      } else if (Date.now() > end) {
        reject(new Error("not in time: " + what + "; " + windows()));
      } else {
        setTimeout(look, 50);
      }
    };
    look();
  });
}

// windows says what stands on the screen, for a test that fails.
function windows() {
  return [...Services.wm.getEnumerator(null)].map(w => w.location.href + " " + w.document.documentElement.textContent.trim().slice(0, 200)).join("; ");
}

function local(path) {
  const f = Cc["@mozilla.org/file/local;1"].createInstance(Ci.nsIFile);
  f.initWithPath(path);
  return f;
}

const server = () => MailServices.accounts.defaultAccount.incomingServer;
const folderNamed = name => server().rootFolder.descendants.find(f => f.name == name);

const tests = {
  // setUp trusts a root, imports a key and makes an account that signs.
  async setUp(o) {
    const db = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
    db.addCertFromBase64(o.root, "C,C,C");
    const refused = db.importPKCS12File(local(o.p12), o.p12Password);
    if (refused) {
      throw new Error("PKCS #12: " + refused);
    }
    const own = db.getCerts().find(c => c.emailAddress == o.user);

    const incoming = MailServices.accounts.createIncomingServer(o.user, "localhost", "imap");
    Object.assign(incoming, { port: o.imap, socketType: Ci.nsMsgSocketType.SSL, authMethod: Ci.nsMsgAuthMethod.passwordCleartext, password: o.password, valid: true });

    const outgoing = MailServices.outgoingServer.createServer("smtp").QueryInterface(Ci.nsISmtpServer);
    Object.assign(outgoing, { hostname: "localhost", port: o.smtp });
    Object.assign(outgoing.QueryInterface(Ci.nsIMsgOutgoingServer), { socketType: Ci.nsMsgSocketType.SSL, authMethod: Ci.nsMsgAuthMethod.passwordCleartext, username: o.user, password: o.password });
    MailServices.outgoingServer.defaultServer = outgoing;

    const identity = MailServices.accounts.createIdentity();
    Object.assign(identity, { email: o.user, fullName: o.name, smtpServerKey: outgoing.key, composeHtml: false, signMail: true, valid: true });
    identity.setUnicharAttribute("signing_cert_name", own.displayName);
    identity.setCharAttribute("signing_cert_dbkey", own.dbKey);

    const account = MailServices.accounts.createAccount();
    account.incomingServer = incoming;
    account.addIdentity(identity);
    MailServices.accounts.defaultAccount = account;
  },

  // folders lists the account's folders with the use Thunderbird makes of each.
  async folders(count) {
    server().performExpand(null);
    const all = await until("folders", () => {
      const list = server().rootFolder.descendants;
      return list.length >= count && list;
    });
    const flags = Ci.nsMsgFolderFlags;
    const uses = { Inbox: flags.Inbox, SentMail: flags.SentMail, Drafts: flags.Drafts, Trash: flags.Trash };
    return Object.fromEntries(all.map(f => [f.name, Object.keys(uses).filter(u => f.flags & uses[u]).join(" ")]));
  },

  // send opens the window to write in, and presses Send.
  async send(o) {
    const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
    Object.assign(fields, { to: o.to, subject: o.subject, body: o.text });
    const attachment = Cc["@mozilla.org/messengercompose/attachment;1"].createInstance(Ci.nsIMsgAttachment);
    attachment.url = Services.io.newFileURI(local(o.file)).spec;
    attachment.name = local(o.file).leafName;
    fields.addAttachment(attachment);
    const params = Cc["@mozilla.org/messengercompose/composeparams;1"].createInstance(Ci.nsIMsgComposeParams);
    Object.assign(params, { type: Ci.nsIMsgCompType.New, format: Ci.nsIMsgCompFormat.PlainText, composeFields: fields, identity: MailServices.accounts.defaultAccount.defaultIdentity });
    MailServices.compose.OpenComposeWindowWithParams(null, params);
    const open = () => [...Services.wm.getEnumerator("msgcompose")];
    const w = await until("a window to write in", () => open().find(w => w.gMsgCompose && w.composeEditorReady));
    const signed = w.gSendSigned;
    w.GenericSendMessage(Ci.nsIMsgCompDeliverMode.Now);
    await until("the letter sent", () => w.closed);
    return signed;
  },

  // count is how many letters of a subject a folder shows after looking anew.
  async count(o) {
    const folder = folderNamed(o.folder);
    await new Promise(resolve => folder.QueryInterface(Ci.nsIMsgImapMailFolder).updateFolderWithListener(null, { OnStartRunningUrl() {}, OnStopRunningUrl: resolve }));
    return [...folder.messages].filter(h => h.mime2DecodedSubject == o.subject).length;
  },

  // read shows the newest letter of a folder and says what the window says of
  // its signature.
  async read(o) {
    const w = Services.wm.getMostRecentWindow("mail:3pane");
    const pane = w.document.getElementById("tabmail").currentAbout3Pane;
    const folder = folderNamed(o.folder);
    pane.displayFolder(folder.URI);
    const newest = () => [...folder.messages].sort((a, b) => a.messageKey - b.messageKey).at(-1);
    await until("a letter in " + o.folder, () => {
      folder.updateFolder(w.msgWindow);
      return newest() && pane.gDBView && pane.gDBView.findIndexOfMsgHdr(newest(), true) != 0xffffffff;
    });
    const header = newest();
    pane.threadTree.selectedIndex = pane.gDBView.findIndexOfMsgHdr(header, true);
    const view = await until("the letter shown", () => {
      const v = pane.messageBrowser.contentWindow;
      return v && v.gMessage && v.gMessage.messageKey == header.messageKey && v;
    });
    const icon = view.document.getElementById("signedHdrIcon");
    // The view is the one of the letter before: its word must be on this one.
    const here = ">/" + o.folder + ">" + header.messageKey;
    await until("a word on the signature", () => {
      const about = decodeURIComponent(view.gSignatureStatusForURI || "").split("?")[0];
      return about.endsWith(here) && view.gSmimeProcessedDispatched && view.gSignerCert && icon.getAttribute("alt");
    });
    return {
      subject: header.mime2DecodedSubject,
      status: view.gSignatureStatus,
      shown: icon.getAttribute("alt"),
      signer: view.gSignerCert.commonName,
      address: view.gSignerCert.emailAddress,
      author: header.mime2DecodedAuthor,
      references: header.numReferences ? header.getStringReference(header.numReferences - 1) : "",
    };
  },
};
