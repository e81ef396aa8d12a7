# shellcheck shell=bash
# Test messages of Python's email package and of three packages from PyPI, through our client to our server and to a
# Postfix: content and recipients as Python's parser reads them. One of these packages, dkimpy, verifies our signatures.

corpus=$work/corpus
mkdir -p "$corpus" "$work/corpus-delivered" "$work/sources"
dpkg -L libpython3.11-testsuite >/dev/null 2>&1 || install libpython3.11-testsuite
"$python" -m pip --version >/dev/null 2>&1 && "$python" -c 'import setuptools, wheel' 2>/dev/null ||
    install python3-pip python3-setuptools python3-wheel
for mail in "$(dpkg -L libpython3.11-testsuite | grep '/test_email/data$')"/msg_*.txt; do
    name=${mail##*/}
    cp "$mail" "$corpus/python-${name%.txt}.eml"
done
# pip runs a package's build backend to learn its name; for one package that is hatchling.
pip() { timeout 120 "$python" -m pip "$@" -q --no-deps --disable-pip-version-check; }
fetch_sources() {
    pip install --target "$work/sources/build" --require-hashes -r $here/corpus-build.txt || return 1
    PYTHONPATH=$work/sources/build pip download --no-build-isolation --no-binary :all: --require-hashes \
        -r $here/corpus.txt -d "$work/sources" || return 1
    local source
    for source in "$work"/sources/*.tar.gz; do tar -xzf "$source" -C "$work/sources" || return 1; done
}
check "the packages with test messages are available" fetch_sources
take() {                   # take PACKAGE FILE...
    local package=$1 mail name; shift
    for mail; do
        name=${mail##*/}
        cp "$mail" "$corpus/$package-${name%.*}.eml"
    done
}
take mail-parser "$work"/sources/mail_parser-*/tests/mails/mail_[mt]*
take django-mailbox "$work"/sources/django-mailbox-*/django_mailbox/tests/messages/*.eml
take dkimpy "$work"/sources/dkimpy-*/dkim/tests/data/*.msg "$work"/sources/dkimpy-*/dkim/tests/data/*.message
check "the corpus is complete" test "$(find "$corpus" -name '*.eml' | wc -l)" -ge 95
send_corpus() {            # send_corpus NAME PORT: some mails cannot be sent; the report says which
    cp -r "$corpus" "$work/corpus-$1"
    timeout 300 "$starttls" send --server "smtp://localhost:$2" --ca "$ca" --json "$work/corpus-$1" \
        >"$work/corpus-$1.json" || [ $? -lt 8 ]
}
serve corpus-server smtp --require-tls --deliver "$work/corpus-delivered" --no-trace
check "the corpus through our client" send_corpus ours "$p"
check "each message arrives unchanged for the recipients that Python finds, or is refused for a reason that Python confirms" \
    "$python" $here/corpus.py ours "$work/corpus-ours" "$work/corpus-ours.json" "$work/corpus-delivered"
check "the corpus through our client to Postfix" send_corpus postfix "$(port corpus)"
check "Postfix has each message unchanged, once for each recipient that Python finds" \
    "$python" $here/corpus.py postfix "$work/corpus-postfix" "$work/corpus-postfix.json" \
    "$work/postfix/mail/corpus/new"
dkimpy=("$work"/sources/dkimpy-*/)
check "dkimpy verifies a signed message, and no changed one" \
    env PYTHONPATH="${dkimpy[0]}" cargo test -q -p starttls-tests --test dkim -- --ignored
