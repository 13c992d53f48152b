r"""Find names of people in paths: `/home/NAME`, `/Users/NAME`, `C:\Users\NAME`, `/media/NAME/DRIVE`."""

import re
from collections.abc import Iterator

from tuning.dataset.redact.hints import starts

Span = tuple[int, int]

# Users of machines, images and services.
_ROLES = (
    "user users username usr ubuntu debian fedora centos redhat rocky alpine arch opc pi app apps appuser runner "
    "runneradmin root admin administrator administrators guest default public shared all owner system sysadmin "
    "operator ec2-user azureuser sagemaker-user vagrant docker jovyan jupyter jupyterlab jupyterhub notebook nbuser "
    "nbcommon airflow hadoop hduser hdfs spark hive kafka zeppelin livy postgres mysql mongodb redis oracle odoo "
    "openerp www www-data web webapp webuser webmaster nginx apache httpd http tomcat git gitlab gitlab-runner github "
    "jenkins travis circleci appveyor buildbot build builder bamboo teamcity vsts azure vscode codespace codespaces "
    "gitpod replit coder sandbox node deploy deployer deployment worker celery service services daemon nobody ftp "
    "sftp mail backup support localuser local defaultuser defaultuser0 defaultapppool containeradministrator "
    "containeruser vssadministrator localservice networkservice wdagutilityaccount ieuser distiller nvidia jetson "
    "osboxes mininet chronos chrx linuxbrew conda mambauser anaconda miniconda cdsw kaggle colab vcap dyno render "
    "heroku model-server mmlspark devuser developer developers dev devel development staging production prod test "
    "tests tester testing testuser devenv student students teacher team office home pc desktop-pc laptop computer "
    "workstation server client hp dell asus acer lenovo msi windows win10 win mac macbook linux robot bot"
)
_PLACEHOLDERS = (
    "name names myname yourname firstname lastname fullname surname someone somebody anyone person me myself memyself "
    "you your my some any other another someuser youruser myuser theuser newuser otheruser user1 user2 user3 user01 "
    "user123 userid user_id user-id yourusername myusername yourusernamehere somename username1 account login id foo "
    "bar baz foobar qux spam eggs example sample demo dummy temp tmp abc xyz abcd aaa bbb x y z a b c xx xy xxx xxxx "
    "placeholder redacted removed hidden censored anonymous anon unknown null none undefined"
)
_FOLDERS_AND_PAGES = (
    "desktop documents downloads pictures music videos library applications app_data appdata data dataset datasets "
    "files file folder folders foldername dir directory path paths project projects projectname workspace work code "
    "src lib libs bin etc var opt site sites html public_html static media images img assets docs scripts programs "
    "python python3 python-user pythonprojects pycharmprojects venv env virtualenv django flask repo repos new old "
    "index about contact signup register logout dashboard profile settings page pages post posts search help api v1 "
    "rest list create edit delete update view views show detail details products items blog news cart checkout"
)
# The same in other languages, as Windows names its folders and tutorials name their users.
_FOREIGN = (
    "usuario usuarios usuário usuários utilisateur utilisateurs benutzer benutzername gebruiker "
    "gebruikersnaam utente użytkownik kullan\u0131c\u0131 administrador administrateur público "
    "publico öffentlich nombre nome votre_nom tu_usuario seu_usuario пользователь пользователи имя "
    "имя_пользователя юзер админ администратор общие общедоступные користувач χρήστης δημόσια 用户 "
    "用户名 用戶 用戶名 使用者 使用者名稱 你的用户名 您的用户名 我的用户名 管理员 管理員 公用 公共 "
    "默认 名字 某用户 ユーザー ユーザ ユーザー名 ユーザ名 あなたの名前 名前 管理者 パブリック 共有 "
    "사용자 사용자명 사용자이름 사용자_이름 유저 유저명 이름 관리자 공용 المستخدم مستخدم "
    "اسم_المستخدم اسم المسؤول عام משתמש שם_משתמש שם ציבורי ผู้ใช้ ชื่อผู้ใช้ สาธารณะ उपयोगकर्ता नाम"
)
# What else stands after `/media/`: drives, and the folders of a web application's uploads.
_MOUNTED = (
    "usb usb0 usb1 usbstick usbdrive usbdisk cdrom cdrom0 dvd floppy sda sda1 sdb sdb1 sdc sdc1 sdcard sd disk disk1 "
    "disk2 hdd hdd1 ssd nvme nvme0n1 nas raid drive drives external ext mount storage backups share shared_folder "
    "upload uploads uploaded photo photos picture pics image avatar avatars profile_pics profile_images thumbs train "
    "thumbnails cache cached gallery albums banners covers audio audios songs sounds fonts css js"
)
_NOT_PEOPLE = frozenset(f"{_ROLES} {_PLACEHOLDERS} {_FOLDERS_AND_PAGES} {_FOREIGN}".split())
_MOUNTED_FOLDERS = frozenset(_MOUNTED.split())
_PLACEHOLDER = re.compile(
    r"(?:all|default|your|my|some|the|any|other|new|example|test|dummy|fake)?[-_. ]?"
    r"(?:user|users|usr|admin|name|first|last|account|home|pc|windows)?[-_. ]?"
    r"(?:name|surname|user|users|id|folder|directory|dir|path|account|here|x{2,}|\d{1,3})?|x+",
)
# Words after `/home/` in a sentence in a language that is written without blanks.
_OF_SENTENCE = re.compile(
    "(?:に|の|は|を|が|で|と|へ|も|や|から|まで|以下|配下|直下|ディレクトリ|フォルダ|下|中|里|目录|文件夹|"
    "에|의|를|을|은|는|이|가|로|으로|폴더|디렉토리)"
)
_FILE = re.compile(
    r"\.(?:py|pyc|ipynb|txt|csv|tsv|json|jsonl|html?|php|js|css|log|sh|bash|md|rst|xml|ya?ml|toml|ini|cfg|conf|env|"
    r"zip|tar|gz|png|jpe?g|gif|svg|pdf|docx?|xlsx?|db|sqlite3?|sql|pkl|h5|npy|exe|bat|mp[34]|wav|avi|dat|data|r|c|cpp|"
    r"java|tcl|rb|ts|so|dll|whl|deb)\Z"
)
# Marks of scripts such as Hebrew, Arabic, Devanagari and Thai stand within names, but are no letters.
_MARKS = (
    "\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0963\u0980-\u0df3"
    "\u0e31-\u0e4e\u0eb1-\u0ecd\u102b-\u103e\u17b4-\u17d3\u200c\u200d\u3099\u309a"
)
_FIRST = rf"\w[\w{_MARKS}.+@~-]{{0,39}}"
_NEXT = rf"[\w{_MARKS}.'()-]{{1,20}}"
_SURNAME = rf"[^\W\d][\w{_MARKS}.'()-]{{0,19}}"
_POSIX = re.compile(rf"/home\d?/(?P<name>{_FIRST})")
# Linux desktops mount the drives of a user there: `/media/NAME/DRIVE`, `/run/media/NAME/DRIVE`.
_DRIVES = re.compile(rf"(?<![\w./~%}}-])(?:/run)?/media/(?P<name>{_FIRST})(?=/[^\s./\"'`<>{{}}]+(?![^\s/\"'`<>{{}}]))")
# A name of several words counts only if the path goes on or ends after it: `C:\Users\Jane Doe\Desktop`,
# `C:\Users\Jane Doe>`.
_MAC = re.compile(rf"/Users/(?P<name>{_FIRST}(?:\\ {_NEXT}| [A-Z]{_NEXT}(?=[^\n]{{0,20}}/)){{0,3}})")
_WINDOWS = re.compile(
    rf"(?i:users|documents and settings)[\\/]{{1,4}}"
    rf"(?P<name>{_FIRST}(?:\\? {_NEXT}){{1,3}}(?=[\\/\"'])|{_FIRST}(?: {_SURNAME}){{1,3}}(?=>)|"
    rf"{_FIRST}(?:\\ {_NEXT}){{0,3}})"
)
_AFTER_CD = re.compile(r"(?i)\b(?:cd|chdir|pushd)[ \t]{1,3}(?:/d[ \t]{1,3})?[a-z]:[\\/]{1,2}\Z")
_TO_END = re.compile(rf"(?i:users)[\\/]{{1,2}}(?P<name>{_FIRST}(?: {_SURNAME}){{1,3}})(?=[ \t]*(?:[\n`<]|\Z))")
_DRIVE = re.compile(r"(?i)(?:(?:(?<![a-z])[a-z]:|/mnt/[a-z]|/cygdrive/[a-z]|(?<!\w)/[a-z])[\\/]{1,4}|\\{1,4})\Z")
_BEFORE = 80  # characters before a path that tell whether it is one
# A part of a URL, or of the routes of a web application.
_NOT_A_PATH = re.compile(
    r"(?i)(?:\w\.\w[^\s\"'`()<>]*(?<!:)|://[^\s\"'`()<>]*|"
    r"(?:\b(?:route|url|url_for|path|re_path|redirect|reverse|get|post|put|delete|patch)\s{0,2}\(|\b(?:href|src|action|url|uri|endpoint)[\"']?\s{0,2}[=:])\s{0,2}r?[\"']?\^?)\Z"
)
_FOLDERS = re.compile(r"(?:^|[^\w./:~-])(?:/[\w.-]{1,30}){1,4}\Z")
_OPTION = re.compile(r"(?:^|[\s\"'])-[A-Z]\Z")  # as in `-I/home/NAME/include`
_AGAIN = re.compile(rf"(?<![\w.@-])[\w{_MARKS}.+-]{{3,40}}(?=@[\w-]+[:\s~]|[\\/])")
_OF_WORD = re.compile(r"[\w./~-]\Z")
_LONGEST_LINK = 300  # characters of a link before a name that are looked at
_OF_LINK = re.compile(r"https?://[^\s<>\"'()]*\Z")


def names_in_paths(text: str, lower: str) -> Iterator[Span]:
    """Yield the places of names of people in paths, and of the same names before `@` and in other paths.

    A link keeps them, because it would lead nowhere without them.
    """
    names = set()
    for match in _matches(text, lower):
        name = match["name"]
        place = match.start("name")
        name = name.rstrip(".") if len(name.rstrip(".")) else name
        if is_person(name, text[place + len(name) : place + len(name) + 1]):
            names.add(name)
            yield place, place + len(name)
    for match in _AGAIN.finditer(text) if names else ():
        if match[0] in names and not _OF_LINK.search(text, max(0, match.start() - _LONGEST_LINK), match.start()):
            yield match.span()


def is_person(name: str, after: str) -> bool:
    """Return whether a folder's name is that of a person. `after` is the character after the name."""
    lower = name.lower()
    if len(name) < 2 or lower in _NOT_PEOPLE or _PLACEHOLDER.fullmatch(lower):
        return False
    if _OF_SENTENCE.match(name) and after not in tuple("/\\\"'>"):
        return False
    return after in ("/", "\\") or _FILE.search(lower) is None


def _matches(text: str, lower: str) -> Iterator[re.Match[str]]:
    yield from (match for match in _POSIX.finditer(text) if _is_path(text, match.start()))
    yield from _on_drives(text) if "/media/" in lower else ()
    for folder in ("users", "documents and settings"):
        for start in starts(lower, folder):
            if text[start - 1 : start] in ("/", "\\"):
                if text.startswith("/Users/", start - 1) and _is_path(text, start - 1):
                    match = _MAC.match(text, start - 1)
                else:
                    match = _WINDOWS.match(text, start) if _DRIVE.search(text, max(0, start - 16), start) else None
                    if match and _AFTER_CD.search(text, max(0, start - 20), start):
                        match = _TO_END.match(text, start) or match
                if match:
                    yield match


def _on_drives(text: str) -> Iterator[re.Match[str]]:
    for match in _DRIVES.finditer(text):
        before = text[max(0, match.start() - _BEFORE) : match.start()]
        if match["name"].lower() not in _MOUNTED_FOLDERS and not _NOT_A_PATH.search(before):
            yield match


def _is_path(text: str, start: int) -> bool:
    """Return whether a path starts here, and not a part of a URL or the route of a web application."""
    before = text[max(0, start - _BEFORE) : start]
    if before.endswith(("file://", "Macintosh HD")) or _OPTION.search(before):
        return True
    return not _NOT_A_PATH.search(before) and (not _OF_WORD.search(before) or _FOLDERS.search(before) is not None)
